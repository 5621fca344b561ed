package intake

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/throughline-dev/throughline/libs/stage"
	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/ingest/event"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// Stage is the name under which ingest decides.
const Stage = "ingest"

// Form is how the bytes of an event are written.
type Form int

// The forms. The zero value is structured JSON.
const (
	Structured Form = iota
	Binary
	Protobuf
)

// Raw is an event as it arrived.
type Raw struct {
	Form  Form
	Value []byte
	// Attributes came in headers; read in Binary form only, except for the trace context.
	Attributes event.Attributes
	// Workspace is the tenant that the topic or the API key is bound to, "" if to none. It must be trusted.
	Workspace string
	// DeriveID permits an event without an id; its id is then a keyed hash of its bytes.
	DeriveID bool
	// Received is when the event arrived, by the broker's or the HTTP server's clock. Its lateness is counted to here, so
	// that an outage of ingest makes no event late.
	Received time.Time
	// Now is when the decision is made.
	Now time.Time
	// Place is where the bytes lie. It stands for the id in the outcome of an event that has none; the zero Place then
	// means no outcome.
	Place Place
}

// Place is a record's place in Kafka.
type Place struct {
	Topic     string
	Partition int
	Offset    int64
}

// String is topic/partition/offset, or "" for the zero Place.
func (p Place) String() string {
	if p.Topic == "" {
		return ""
	}
	return p.Topic + "/" + strconv.Itoa(p.Partition) + "/" + strconv.FormatInt(p.Offset, 10)
}

// Decision is what becomes of one event.
type Decision struct {
	// Status is STATUS_UNSPECIFIED for an accepted event, else SKIPPED or REJECTED.
	Status streamv1.Status
	// Reason is why, and Detail the same in a sentence that says what to do next. Neither quotes the event.
	Reason streamv1.Reason
	Detail string
	// Workspace is the tenant, "" while unknown or unproven.
	Workspace string
	// EventID is the producer's id or the derived one; "" if the event has no usable one.
	EventID string
	// Intruder tells that the event claimed another tenant than the one it came through.
	Intruder bool
	Warnings event.Warnings
	// Messages are what to produce: the activity, or the outcome. There is none for a refused event of which nobody
	// could be told.
	Messages []stage.Message
}

// Accepted reports whether the event goes on.
func (d *Decision) Accepted() bool { return d.Status == streamv1.Status_STATUS_UNSPECIFIED }

// Rejected reports whether the producer has to change something.
func (d *Decision) Rejected() bool { return d.Status == streamv1.Status_STATUS_REJECTED }

// Limits bounds one event.
type Limits struct {
	// EventBytes is the largest event.
	EventBytes int
	// Ahead is how far an event's time may lie in the future.
	Ahead time.Duration
}

// DefaultLimits are 256 KiB and 24 hours.
func DefaultLimits() Limits { return Limits{EventBytes: 256 << 10, Ahead: 24 * time.Hour} }

// Intake decides. One goroutine uses it at a time; several may share their Subjects.
type Intake struct {
	limits   Limits
	subjects *Subjects
	tracing  Tracing
	decoder  *event.Decoder
	parts    parts
	messages [1]stage.Message
	// erasures is the mark of those that the subjects have been cleared for.
	erasures uint64
}

// New returns an Intake.
func New(limits Limits, subjects *Subjects, tracing Tracing) *Intake {
	return &Intake{limits: limits, subjects: subjects, tracing: tracing, decoder: event.NewDecoder()}
}

// Take decides about one event. The result's Messages slice is valid until the next call; the messages themselves are
// the caller's. An error means that sealing or encoding failed, whatever the event; try again.
func (in *Intake) Take(view *settings.View, raw *Raw) (Decision, error) {
	if mark := view.ErasureMark(); mark != in.erasures {
		in.subjects.clear() // XC-31: what is remembered of somebody who was erased goes, too
		in.erasures = mark
	}
	c := candidate{Raw: raw, view: view, trace: raw.Attributes.TraceParent}
	err := in.decide(&c)
	if err == nil {
		return in.accepted(&c)
	}
	if refusal, ok := errors.AsType[*event.Refusal](err); ok {
		return in.refused(&c, refusal)
	}
	return Decision{}, err
}

// candidate is an event on its way to a decision.
type candidate struct {
	*Raw
	view      *settings.View
	workspace *settings.Workspace
	event     *sourcev1.ViewingEvent
	id        string
	trace     string
	intruder  bool
	warnings  event.Warnings
	viewer    address
	owner     address
}

// decide returns nil for an event to accept, a Refusal for one that is skipped or rejected. The cheap and the secret come
// first: an event that is not tracked is given up before anybody looks at its address (LOOM-20).
func (in *Intake) decide(c *candidate) error {
	c.workspace, _ = c.view.Workspace(c.Workspace)
	if len(c.Value) > in.limits.EventBytes {
		return tooLarge(len(c.Value), in.limits.EventBytes)
	}
	decoded, err := decode(in.decoder, c.Raw)
	in.claim(c, decoded)
	if err != nil {
		return err
	}
	c.event = decoded
	if err := bind(c); err != nil {
		return err
	}
	c.warnings = event.Tidy(decoded)
	if err := event.Check(decoded); err != nil {
		return err
	}
	if c.workspace == nil {
		return errUnknownWorkspace
	}
	if err := entitled(c); err != nil {
		return err
	}
	if r := event.RegistrationOf(decoded); r != nil {
		if err := exportable(r); err != nil {
			return err
		}
	} else if !tracked(c) {
		return errTrackingOff
	}
	if err := checkTime(c, in.limits.Ahead); err != nil {
		return err
	}
	if err := identify(c); err != nil {
		return err
	}
	c.warnings |= event.Clip(decoded)
	return nil
}

func decode(d *event.Decoder, raw *Raw) (*sourcev1.ViewingEvent, error) {
	switch raw.Form {
	case Protobuf:
		return d.Protobuf(raw.Value)
	case Binary:
		return d.Binary(raw.Attributes, raw.Value)
	default:
		return d.Structured(raw.Value)
	}
}

// Claim returns the workspace that an event names, even if the event is broken otherwise; "" if it names none.
func Claim(d *event.Decoder, raw *Raw) string {
	decoded, _ := decode(d, raw)
	_, workspace := d.Claims(decoded)
	return workspace
}

// claim notes what is known of an event's id and tenant, even of one that could not be read to its end: so much of the
// outcome can then be found by its id.
func (in *Intake) claim(c *candidate, e *sourcev1.ViewingEvent) {
	id, workspace := in.decoder.Claims(e)
	if event.ValidID(id) {
		c.id = id
	}
	if c.Workspace == "" {
		c.workspace, _ = c.view.Workspace(workspace)
	}
	if own := in.decoder.TraceParent(); own != "" {
		c.trace = own // the producer's; that of the record may be a bridge's
	}
}

// bind fills in the tenant that the event came through, and the id that it may lack.
func bind(c *candidate) error {
	e := c.event
	if c.Workspace != "" {
		if e.GetWorkspace() != "" && e.GetWorkspace() != c.Workspace {
			// Promise 9: the tenant comes from authentication, not from the body.
			c.intruder = true
			return errOtherWorkspace
		}
		e.Workspace = c.Workspace
	}
	if e.GetId() == "" && c.DeriveID && c.workspace != nil {
		e.Id = base64.RawURLEncoding.EncodeToString(c.workspace.Keys().Hash(c.Value))
		c.id = e.GetId()
	}
	return nil
}

func (in *Intake) accepted(c *candidate) (Decision, error) {
	value, err := in.encode(c)
	if err != nil {
		return Decision{}, fmt.Errorf("accept event of workspace %s: %w", c.workspace.ID(), err)
	}
	in.messages[0] = in.activityMessage(c, value)
	return Decision{
		Workspace: c.workspace.ID(), EventID: c.event.GetId(), Warnings: c.warnings, Messages: in.messages[:],
	}, nil
}

func (in *Intake) refused(c *candidate, refusal *event.Refusal) (Decision, error) {
	d := Decision{
		Status: streamv1.Status_STATUS_REJECTED, Reason: refusal.Reason, Detail: advise(refusal),
		EventID: c.id, Intruder: c.intruder, Warnings: c.warnings,
	}
	if skips(refusal.Reason) {
		d.Status = streamv1.Status_STATUS_SKIPPED
	}
	if c.workspace != nil {
		d.Workspace = c.workspace.ID()
	}
	about := c.id
	if about == "" {
		about = c.Place.String()
	}
	if c.workspace == nil || about == "" {
		return d, nil // no tenant's log could show it, or nothing to find it by
	}
	message, err := in.outcomeMessage(c, &d, about)
	if err != nil {
		return Decision{}, err
	}
	in.messages[0] = message
	d.Messages = in.messages[:]
	return d, nil
}
