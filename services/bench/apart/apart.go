// Package apart runs parts of a benchmark in processes of their own, so that their CPU time and memory do not count as those of what
// is measured.
package apart

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Start runs a program until stop is called. It returns what stands behind marker in the first line that has it: where the program
// listens.
func Start(ctx context.Context, marker, program string, args ...string) (address string, stop func() error, err error) {
	life, kill := context.WithCancel(context.WithoutCancel(ctx))
	cmd := exec.CommandContext(life, program, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		kill()
		return "", nil, err
	}
	stop = func() error {
		kill()
		_ = cmd.Wait() // it was killed; what it says about that is no news
		return nil
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, address, ok := strings.Cut(lines.Text(), marker); ok {
			return address, stop, nil
		}
	}
	return "", nil, fmt.Errorf("%s %s ended before it said where it listens", program, strings.Join(args, " "))
}
