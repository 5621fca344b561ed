// Package apart runs parts of a benchmark in processes of their own, so that their CPU time and memory do not count as those of what
// is measured.
package apart

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// Start runs a program until stop is called. It returns what stands behind marker in the first line that has it: where the program
// listens.
func Start(ctx context.Context, marker, program string, args ...string) (address string, stop func() error, err error) {
	life, kill := context.WithCancel(context.WithoutCancel(ctx))
	cmd := exec.CommandContext(life, program, args...)
	said := new(tail) // not among the figures
	cmd.Stderr = said
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
	return "", nil, fmt.Errorf("%s %s ended before it said where it listens: %s", program, strings.Join(args, " "), said)
}

// Simulator runs a simulated Salesforce with the scenario until stop is called, and returns its address.
func Simulator(ctx context.Context, program string, scenario any) (url string, stop func() error, err error) {
	dir, err := os.MkdirTemp("", "throughline-bench-")
	if err != nil {
		return "", nil, err
	}
	forget := func() error { return os.RemoveAll(dir) }
	data, err := yaml.Marshal(scenario)
	file := filepath.Join(dir, "orgs.yaml")
	if err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		return "", nil, errors.Join(err, forget())
	}
	url, end, err := Start(ctx, "simulator: ", program, "simulate", "--listen", "127.0.0.1:0", "--scenario", file)
	if err != nil {
		return "", nil, errors.Join(err, forget())
	}
	return url, func() error { return errors.Join(end(), forget()) }, nil
}

// tail keeps the last of what is written to it. Safe for concurrent use.
type tail struct {
	mu   sync.Mutex
	last []byte
}

// tailBytes is how much a tail keeps.
const tailBytes = 4 << 10

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	if over := len(t.last) - tailBytes; over > 0 {
		t.last = t.last[over:]
	}
	return len(p), nil
}

// String is what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.last)
}
