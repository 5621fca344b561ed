package rows

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/ingest/edge"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// Prefix is where deliveries are posted below.
const Prefix = "/v1/reports/"

// pattern is the whole address, as http.ServeMux writes it.
const pattern = "POST " + Prefix + "{report}/deliveries/{delivery}"

// RowsHeader says how many rows a CSV has.
const RowsHeader = "Throughline-Rows"

// Publisher writes to Kafka and returns once every in-sync replica has all of it. kafka.Client is one.
type Publisher interface {
	Publish(ctx context.Context, messages ...stage.Message) error
}

// Settings gives the newest settings, nil while there are none.
type Settings interface{ View() *settings.View }

// Deps is what code passes in. All of it is required.
type Deps struct {
	Logger    *slog.Logger
	Clock     stage.Clock
	Publisher Publisher
	Settings  Settings
}

// Handler takes deliveries. Safe for concurrent use.
type Handler struct {
	cfg  Config
	deps Deps
	mux  *http.ServeMux

	mu     sync.Mutex
	taken  int
	byWork map[string]int
}

// NewHandler returns a handler; cfg must be valid.
func NewHandler(cfg Config, deps Deps) *Handler {
	h := &Handler{cfg: cfg, deps: deps, mux: http.NewServeMux(), byWork: map[string]int{}}
	h.mux.HandleFunc(pattern, h.serve)
	h.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		edge.Problem{Status: http.StatusNotFound, Reason: "BAD_REQUEST", Detail: "deliveries of reports go to " + pattern}.Write(w)
	})
	return h
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

var (
	reportID   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	deliveryID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$`)
)

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	view := h.deps.Settings.View()
	if view == nil {
		unavailable(w, "no settings yet; try again")
		return
	}
	workspace, ok := edge.Authenticate(view, r, h.deps.Clock.Now())
	if !ok {
		w.Header().Set("WWW-Authenticate", `Bearer realm="throughline"`)
		edge.Problem{
			Status: http.StatusUnauthorized, Reason: "UNAUTHENTICATED",
			Detail: "send Authorization: Bearer with an API key of the workspace that may post events",
		}.Write(w)
		return
	}
	report, id := r.PathValue("report"), r.PathValue("delivery")
	if !reportID.MatchString(report) || !deliveryID.MatchString(id) {
		edge.Problem{
			Status: http.StatusBadRequest, Reason: "BAD_REQUEST",
			Detail: "a report's id is a-z, 0-9 and -, at most 64; a delivery's letters, digits and ._:-, at most 128",
		}.Write(w)
		return
	}
	if !h.enter(workspace.ID()) {
		unavailable(w, "too many deliveries at once; try again")
		return
	}
	defer h.leave(workspace.ID())
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.DeliveryTimeout)
	defer cancel()
	src, err := h.open(ctx, w, r)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	d := &delivery{
		cfg: &h.cfg, publisher: h.deps.Publisher, clock: h.deps.Clock,
		// Promise 9: the tenant is the key's.
		workspace: workspace, report: report, id: id,
	}
	summary, err := d.take(ctx, src)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	h.deps.Logger.InfoContext(ctx, "a delivery of a report is stored",
		"workspace", workspace.ID(), "report", report, "delivery", id, "rows", summary.Rows, "refused", summary.Refused)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(summary) // the client may be gone; there is nobody to tell
}

// enter takes a place for a delivery. Promises 6 and 7: all of them are bounded, and one workspace has at most half.
func (h *Handler) enter(workspace string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.taken >= h.cfg.InFlight || h.byWork[workspace] >= (h.cfg.InFlight+1)/2 {
		return false
	}
	h.taken++
	h.byWork[workspace]++
	return true
}

func (h *Handler) leave(workspace string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken--
	if h.byWork[workspace]--; h.byWork[workspace] == 0 {
		delete(h.byWork, workspace)
	}
}

// errMediaType says that a body is of no kind that is known here.
var errMediaType = errors.New("content-type must be application/x-ndjson, or text/csv with the header " + RowsHeader +
	"; content-encoding gzip or none; docs/source-reports.md describes both")

// open makes the source of a request's body.
func (h *Handler) open(ctx context.Context, w http.ResponseWriter, r *http.Request) (source, error) {
	var body io.Reader = &patient{goesOn: ctx.Err, body: r.Body, control: http.NewResponseController(w), idle: h.cfg.IdleTimeout}
	switch encoding := r.Header.Get("Content-Encoding"); {
	case encoding == "" || strings.EqualFold(encoding, "identity"):
	case strings.EqualFold(encoding, "gzip"):
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			return nil, bad("the body is not gzip, as its content-encoding says")
		}
		body = unzipped
	default:
		return nil, errMediaType
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, errMediaType
	}
	switch mediaType {
	case "application/x-ndjson", "application/ndjson":
		return newLines(body, &h.cfg), nil
	case "text/csv":
		rows, err := strconv.ParseInt(r.Header.Get(RowsHeader), 10, 64)
		if err != nil || rows < 0 {
			return nil, bad("CSV has no end marker; say how many rows it has, without the first line, in the header " + RowsHeader)
		}
		return newTable(body, &h.cfg, rows), nil
	}
	return nil, errMediaType
}

// patient waits for every read as long as for any other: a delivery may take longer than a request for events.
type patient struct {
	// goesOn returns nil for as long as the delivery may take.
	goesOn  func() error
	body    io.Reader
	control *http.ResponseController
	idle    time.Duration
}

func (p *patient) Read(b []byte) (int, error) {
	if err := p.goesOn(); err != nil {
		return 0, err
	}
	// A server that cannot set deadlines has none of its own either.
	until := time.Now().Add(p.idle)
	_ = p.control.SetReadDeadline(until)
	_ = p.control.SetWriteDeadline(until.Add(p.idle))
	return p.body.Read(b)
}

// refuse answers for a delivery that was not taken whole.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if wrong, ok := errors.AsType[*badDelivery](err); ok {
		edge.Problem{Status: http.StatusBadRequest, Reason: refusedBadSchema, Detail: wrong.detail, ID: r.PathValue("delivery")}.Write(w)
		return
	}
	if errors.Is(err, errMediaType) {
		edge.Problem{Status: http.StatusUnsupportedMediaType, Reason: "UNSUPPORTED_MEDIA_TYPE", Detail: err.Error()}.Write(w)
		return
	}
	h.deps.Logger.ErrorContext(r.Context(), "a delivery of a report broke off; the sender was told to send it again",
		"report", r.PathValue("report"), "delivery", r.PathValue("delivery"), "error", err)
	unavailable(w, "the delivery broke off; nothing of it is pushed; send it again, whole")
}

func unavailable(w http.ResponseWriter, detail string) {
	w.Header().Set("Retry-After", "1")
	edge.Problem{Status: http.StatusServiceUnavailable, Reason: "UNAVAILABLE", Detail: detail}.Write(w)
}
