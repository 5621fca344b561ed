// Command throughline is the whole system in one binary: every service, the demo, the simulator and the tools of those
// who run it. `throughline --help` teaches by example.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/throughline-dev/throughline/services/internal/screen"
)

// statusPrefix is what gRPC puts before a service's own words.
var statusPrefix = regexp.MustCompile(`rpc error: code = \w+ desc = `)

// unreachable is what gRPC says of a server that does not answer.
var unreachable = regexp.MustCompile(`connection error: desc = "transport: (?:Error while dialing: |authentication handshake failed: )?(.*)"`)

// words are what an error says to people.
func words(err error) string {
	text := statusPrefix.ReplaceAllString(err.Error(), "")
	return unreachable.ReplaceAllString(text, "the config service does not answer ($1); is it running, and is settings.target right? "+
		"--dir leads to a running demo")
}

// version is set by the linker.
var version = "dev"

func main() {
	os.Exit(run())
}

// run returns the exit code. The first interrupt drains, the second one ends the process at once.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // from here on a signal has its default effect
	}()
	screen.Start()
	return execute(ctx, newRoot(), os.Stderr)
}

// execute runs the command and tells what it fails with.
func execute(ctx context.Context, root *cobra.Command, errs io.Writer) int {
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if text, wrong := wrongUse(err); wrong {
		fmt.Fprintf(errs, "throughline: %s\n%s\n", text, explain(cmd))
		return exitUsage
	}
	fmt.Fprintln(errs, "throughline:", words(err))
	return exitFailed
}
