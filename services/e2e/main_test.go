package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/throughline-dev/throughline/libs/stage/kafka/kafkatest"
	"github.com/throughline-dev/throughline/services/internal/leaktest"
)

// The tests wait for one another's processes most of the time, so more of them run side by side than there are cores.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if kafkatest.Real() != nil {
		os.Exit(m.Run()) // a connection to a real broker ends when the broker answers its last long poll
	}
	leaktest.Main(m)
}
