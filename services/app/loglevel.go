package app

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/telemetry"
)

// logLevels lets operators read and change what the process logs, service by service, until it ends. The rules of what may be in
// a line are the same at every level.
type logLevels struct{ tel *telemetry.Telemetry }

// maxLevelBytes is more than any level's name takes.
const maxLevelBytes = 64

func (l logLevels) show(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(l.tel.Levels.All()); err != nil {
		l.tel.Logger.Debug("an answer could not be sent", "error", err)
	}
}

// set takes a level's name as the body: debug, info, warn or error.
func (l logLevels) set(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLevelBytes))
	if err != nil {
		http.Error(w, "want a level: debug, info, warn or error", http.StatusBadRequest)
		return
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.Trim(strings.TrimSpace(string(body)), `"`))); err != nil {
		http.Error(w, "want a level: debug, info, warn or error", http.StatusBadRequest)
		return
	}
	service := r.PathValue("service")
	if err := l.tel.Levels.Set(service, level); err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	if service == "" {
		service = "all"
	}
	l.tel.Logger.Warn("the log level was changed", "of", service, "to", level.String(), "from", r.RemoteAddr)
	l.show(w, r)
}

// guarded runs a service; a panic becomes an error that tells the place and not the value, which may quote anything (promise 8).
func guarded(run func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("panicked at %s", stage.PanicPlace())
		}
	}()
	return run()
}
