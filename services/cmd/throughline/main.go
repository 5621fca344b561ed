// Command throughline is the whole system in one binary: every service, the demo, the simulator and the tools of those
// who run it. `throughline --help` teaches by example.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

// statusPrefix is what gRPC puts before a service's own words.
var statusPrefix = regexp.MustCompile(`rpc error: code = \w+ desc = `)

// words are what an error says to people.
func words(err error) string { return statusPrefix.ReplaceAllString(err.Error(), "") }

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
	if err := newRoot().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "throughline:", words(err))
		return 1
	}
	return 0
}
