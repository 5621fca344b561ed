package writer_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// defective panics on requests that name a key.
type defective struct {
	http.RoundTripper
	key    string
	mended atomic.Bool
	panics atomic.Int64
}

func (d *defective) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if bytes.Contains(body, []byte(d.key)) && !d.mended.Load() {
			d.panics.Add(1)
			panic("a defect that quotes " + string(body))
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return d.RoundTripper.RoundTrip(r)
}

// A write that makes the program panic ends neither the process nor the other org's writes; it waits for a program that can.
func TestAPanicIsTheTroubleOfItsOwnWrites(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.Lanes.Attempts, b.cfg.Lanes.RetryMax = 2, time.Millisecond
	d := &defective{RoundTripper: http.DefaultTransport, key: "poison"}
	b.client["main"] = salesforce.NewClient(unhurried(), salesforce.StaticToken{
		AccessToken: secret.New("token"), InstanceURL: b.orgs["main"].URL(),
	}, salesforce.Deps{Transport: d})
	var log bytes.Buffer
	b.logger = slog.New(slog.NewTextHandler(&log, nil))
	_, stop := b.start()
	b.send(b.write("main", "poison", 1), b.write("other", "fine", 1))
	require.Eventually(t, func() bool {
		return b.final()["fine/1"] == "WRITTEN" && d.panics.Load() > 2 && len(b.broker.Records(topic.Parked)) > 0
	}, patience, time.Millisecond)
	d.mended.Store(true)
	require.Eventually(t, func() bool { return b.final()["poison/1"] == "WRITTEN" }, patience, time.Millisecond)
	stop()
	require.Empty(t, b.broker.Records(topic.DeadLetters))
	require.Contains(t, log.String(), "defective).RoundTrip")
	require.NotContains(t, strings.ToLower(log.String()), "quotes", "what a panic says may quote a record")
}
