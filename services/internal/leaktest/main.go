package leaktest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// within bounds how long goroutines may take to end.
const within = time.Minute

// Main runs the tests of a package and exits, with 1 if they fail or leave goroutines behind. It is all that a TestMain needs.
func Main(m *testing.M, options ...goleak.Option) {
	code := m.Run()
	if code == 0 {
		if err := left(within, options...); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines are left:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// left names the goroutines that are still there in the end.
func left(within time.Duration, options ...goleak.Option) error {
	deadline := time.Now().Add(within)
	for {
		err := goleak.Find(options...)
		if err == nil || !time.Now().Before(deadline) {
			return err
		}
	}
}
