// Command validateproto writes buf/validate/validate.proto, taken from the descriptor inside the pinned
// protovalidate Go module, below the folder named by its only argument. buf then needs no schema registry.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/jhump/protoreflect/v2/protoprint"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: validateproto DIR")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "validateproto:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	printer := protoprint.Printer{}
	text, err := printer.PrintProtoToString(validate.File_buf_validate_validate_proto)
	if err != nil {
		return fmt.Errorf("print the descriptor: %w", err)
	}
	path := filepath.Join(dir, "buf", "validate", "validate.proto")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
