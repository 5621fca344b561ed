package edge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/ingest/intake"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// Path is where events are posted.
const Path = "/v1/events"

// Publisher writes to Kafka and returns once every in-sync replica has all of it. kafka.Client is one.
type Publisher interface {
	Publish(ctx context.Context, messages ...stage.Message) error
}

// Settings gives the newest settings, nil while there are none.
type Settings interface{ View() *settings.View }

// Observer is told of every decision, one call each, from many goroutines.
type Observer interface {
	Observe(source string, d *intake.Decision)
}

// Deps is what code passes in. All of it is required.
type Deps struct {
	Logger    *slog.Logger
	Clock     stage.Clock
	Publisher Publisher
	Settings  Settings
	Observer  Observer
	// NewIntake makes an Intake for one request at a time.
	NewIntake func() *intake.Intake
}

// Source is what the endpoint is called in observations.
const Source = "http"

// Handler serves Path. Safe for concurrent use.
type Handler struct {
	cfg     Config
	deps    Deps
	shares  *shares
	places  chan struct{}
	intakes sync.Pool
}

// NewHandler returns a handler; cfg must be valid.
func NewHandler(cfg Config, deps Deps) *Handler {
	h := &Handler{
		cfg: cfg, deps: deps,
		shares: newShares(cfg),
		places: make(chan struct{}, cfg.InFlight),
	}
	h.intakes.New = func() any { return deps.NewIntake() }
	return h
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != Path {
		refuse(w, http.StatusNotFound, reasonBadRequest, "events go to POST "+Path)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed, reasonBadRequest, "events go to POST "+Path)
		return
	}
	view := h.deps.Settings.View()
	if view == nil {
		retryAfter(w, time.Second)
		refuse(w, http.StatusServiceUnavailable, reasonUnavailable, "no settings yet; try again")
		return
	}
	workspace, ok := Authenticate(view, r, h.deps.Clock.Now())
	if !ok {
		w.Header().Set("WWW-Authenticate", `Bearer realm="throughline"`)
		refuse(w, http.StatusUnauthorized, reasonUnauthenticated, "send Authorization: Bearer with an API key of the workspace")
		return
	}
	// Promise 7: bodies in memory are bounded by the places.
	share := h.shares.of(workspace.ID())
	leave, ok := enter(share.places, h.places)
	if !ok {
		retryAfter(w, time.Second)
		refuse(w, http.StatusServiceUnavailable, reasonOverloaded, "too many requests at once; try again")
		return
	}
	defer leave()
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.RequestTimeout)
	defer cancel()
	h.serve(w, r.WithContext(ctx), &tenant{view: view, workspace: workspace, share: share})
}

// tenant is who sends a request.
type tenant struct {
	view      *settings.View
	workspace *settings.Workspace
	share     *share
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, from *tenant) {
	body, err := readBody(w, r, h.cfg.BodyBytes)
	if err != nil {
		refuseBody(w, err)
		return
	}
	req, err := parse(r.Header, body, h.cfg.BatchEvents)
	if err != nil {
		refuseBody(w, err)
		return
	}
	if wait, ok := from.share.take(len(req.values), h.deps.Clock.Now()); !ok {
		retryAfter(w, wait)
		refuse(w, http.StatusTooManyRequests, reasonRateLimited, "the workspace sends too many events per second; wait as Retry-After says")
		return
	}
	decisions, messages, err := h.decide(from, req)
	if err == nil {
		// Promise 2: the answer waits for Kafka's acknowledgement.
		err = h.deps.Publisher.Publish(r.Context(), messages...)
	}
	if large, ok := errors.AsType[*stage.TooLargeError](err); ok {
		problem(w, Problem{Status: http.StatusRequestEntityTooLarge, Reason: reasonTooLarge, ID: large.ID, Detail: large.Error() +
			"; none of the request counts as stored, so send the others again without the one that is named"})
		return
	}
	if err != nil {
		h.deps.Logger.ErrorContext(r.Context(), "could not store events that came over HTTP; the producer was told to send them again",
			"workspace", from.workspace.ID(), "events", len(req.values), "error", err)
		retryAfter(w, time.Second)
		refuse(w, http.StatusServiceUnavailable, reasonUnavailable, "the events could not be stored; send all of them again, repeats do no harm")
		return
	}
	for i := range decisions {
		h.deps.Observer.Observe(Source, &decisions[i])
	}
	answer(w, req, decisions)
}

func (h *Handler) decide(from *tenant, req *request) ([]intake.Decision, []stage.Message, error) {
	in := h.intakes.Get().(*intake.Intake)
	defer h.intakes.Put(in)
	now := h.deps.Clock.Now()
	decisions := make([]intake.Decision, 0, len(req.values))
	messages := make([]stage.Message, 0, len(req.values))
	for _, value := range req.values {
		d, err := in.Take(from.view, &intake.Raw{
			Form: req.form, Value: value, Attributes: req.attributes,
			// Promise 9: the tenant is the key's.
			Workspace: from.workspace.ID(), DeriveID: h.cfg.DeriveIDs, Received: now, Now: now,
		})
		if err != nil {
			return nil, nil, err
		}
		messages = append(messages, d.Messages...)
		d.Messages = nil
		decisions = append(decisions, d)
	}
	return decisions, messages, nil
}

func answer(w http.ResponseWriter, req *request, decisions []intake.Decision) {
	if req.single {
		if d := &decisions[0]; d.Rejected() {
			refuseEvent(w, d)
		} else {
			write(w, http.StatusAccepted, typeJSON, resultOf(d))
		}
		return
	}
	var summary Summary
	for i := range decisions {
		summary.add(i, &decisions[i])
	}
	status := http.StatusAccepted
	if summary.Rejected > 0 {
		status = http.StatusMultiStatus
	}
	write(w, status, typeJSON, summary)
}

func refuseBody(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errBodyTooLarge), errors.Is(err, errTooManyEvents):
		refuse(w, http.StatusRequestEntityTooLarge, reasonTooLarge, err.Error()+"; send less at once")
	case errors.Is(err, errMediaType), errors.Is(err, errEncoding):
		refuse(w, http.StatusUnsupportedMediaType, reasonUnsupported, err.Error()+"; docs/source-events.md lists what is")
	default:
		refuse(w, http.StatusBadRequest, reasonBadRequest, err.Error())
	}
}
