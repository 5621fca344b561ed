package event

import (
	"math"

	"google.golang.org/protobuf/types/known/timestamppb"

	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
)

// specVersion is the version of CloudEvents that is read.
const specVersion = "1.0"

// maxRanges bounds what one progress event may report; more is refused before it is kept.
const maxRanges = 256

// data is the union of the data of all types: the type may come after the data.
type data struct {
	present       bool
	contentGiven  bool
	content       content
	viewerGiven   bool
	viewer        viewer
	tracking      bool
	trackingGiven bool

	ranges      []sourcev1.TimeRange
	from, to    float64 // of the range being read
	completed   bool
	label, url  string
	page, dwell float64

	registration registration
}

type content struct {
	id, title, url        string
	length, pages         float64
	ownerEmail, ownerName string
	publishedAt           string
}

type viewer struct{ email, evidence, name string }

func (d *data) reset() { *d = data{ranges: d.ranges[:0]} }

func (d *Decoder) envelope() error {
	_, err := d.object("", d.attribute)
	return err
}

func (d *Decoder) attribute(name string) error {
	switch name {
	case "specversion":
		return d.stringInto("specversion", &d.attrs.SpecVersion)
	case "id":
		return d.stringInto("id", &d.attrs.ID)
	case "source":
		return d.stringInto("source", &d.attrs.Source)
	case "type":
		return d.stringInto("type", &d.attrs.Type)
	case "time":
		return d.stringInto("time", &d.attrs.Time)
	case "workspace":
		return d.stringInto("workspace", &d.attrs.Workspace)
	case "session":
		return d.stringInto("session", &d.attrs.Session)
	case "traceparent":
		return d.stringInto("traceparent", &d.attrs.TraceParent)
	case "data":
		return d.payload()
	}
	return d.skip("")
}

func (d *Decoder) payload() (err error) {
	d.data.present, err = d.object("data", d.dataField)
	return err
}

func (d *Decoder) dataField(name string) (err error) {
	switch name {
	case "content":
		d.data.contentGiven, err = d.object("data.content", d.contentField)
	case "viewer":
		d.data.viewerGiven, err = d.object("data.viewer", d.viewerField)
	case "tracking":
		d.data.trackingGiven, err = d.boolInto("data.tracking", &d.data.tracking)
	case "ranges":
		err = d.rangesField()
	case "completed":
		_, err = d.boolInto("data.completed", &d.data.completed)
	case "label":
		err = d.stringInto("data.label", &d.data.label)
	case "url":
		err = d.stringInto("data.url", &d.data.url)
	case "page":
		err = d.numberInto("data.page", &d.data.page)
	case "dwellSeconds":
		err = d.numberInto("data.dwellSeconds", &d.data.dwell)
	case "registration":
		err = d.registration()
	default:
		err = d.skip("data")
	}
	return err
}

func (d *Decoder) contentField(name string) error {
	c := &d.data.content
	switch name {
	case "id":
		return d.stringInto("data.content.id", &c.id)
	case "title":
		return d.stringInto("data.content.title", &c.title)
	case "url":
		return d.stringInto("data.content.url", &c.url)
	case "lengthSeconds":
		return d.numberInto("data.content.lengthSeconds", &c.length)
	case "pageCount":
		return d.numberInto("data.content.pageCount", &c.pages)
	case "ownerEmail":
		return d.stringInto("data.content.ownerEmail", &c.ownerEmail)
	case "ownerName":
		return d.stringInto("data.content.ownerName", &c.ownerName)
	case "publishedAt":
		return d.stringInto("data.content.publishedAt", &c.publishedAt)
	}
	return d.skip("data.content")
}

func (d *Decoder) viewerField(name string) error {
	v := &d.data.viewer
	switch name {
	case "email":
		return d.stringInto("data.viewer.email", &v.email)
	case "evidence":
		return d.stringInto("data.viewer.evidence", &v.evidence)
	case "name":
		return d.stringInto("data.viewer.name", &v.name)
	}
	return d.skip("data.viewer")
}

func (d *Decoder) rangesField() error {
	const path = "data.ranges"
	switch d.json.Kind() {
	case '[':
		return d.refuse(path, d.json.Array(d.rangeItem))
	case 'n':
		return d.refuse(path, d.json.Null())
	}
	return d.wrongType(path, "must be an array")
}

func (d *Decoder) rangeItem(i int) error {
	if i == maxRanges {
		return badSchema("data.ranges", "must have 1 to 256 items")
	}
	d.data.from, d.data.to = math.NaN(), math.NaN()
	if _, err := d.object("data.ranges[]", d.rangeField); err != nil {
		return err
	}
	if math.IsNaN(d.data.from) || math.IsNaN(d.data.to) {
		return badSchema(at("data.ranges", i), "must have from and to")
	}
	d.data.addRange(d.data.from, d.data.to)
	return nil
}

func (d *Decoder) rangeField(name string) error {
	switch name {
	case "from":
		return d.numberInto("data.ranges[].from", &d.data.from)
	case "to":
		return d.numberInto("data.ranges[].to", &d.data.to)
	}
	return d.skip("data.ranges[]")
}

// addRange reuses the messages of earlier events.
func (d *data) addRange(from, to float64) {
	n := len(d.ranges)
	if n < cap(d.ranges) {
		d.ranges = d.ranges[:n+1]
	} else {
		grown := make([]sourcev1.TimeRange, n+1, 2*n+8)
		for i := range d.ranges {
			grown[i].From, grown[i].To = d.ranges[i].GetFrom(), d.ranges[i].GetTo()
		}
		d.ranges = grown
	}
	d.ranges[n].From, d.ranges[n].To = from, to
}

// build makes the ViewingEvent of what was read. Whether it makes sense is Check's affair, except for what protobuf
// cannot express.
func (d *Decoder) build() (*sourcev1.ViewingEvent, error) {
	switch {
	case d.attrs.SpecVersion != specVersion:
		return nil, badSchema("specversion", `must be "1.0"`)
	case d.attrs.Source == "":
		return nil, badSchema("source", "is missing")
	case !d.data.present:
		return nil, badSchema("data", "is missing; data_base64 is not supported")
	}
	e, b := &d.event, &d.box
	e.Reset()
	e.Id, e.Workspace, e.Session = d.attrs.ID, d.attrs.Workspace, d.attrs.Session
	if d.attrs.Time != "" {
		t, err := parseTime("time", d.attrs.Time)
		if err != nil {
			return nil, err
		}
		b.time.Seconds, b.time.Nanos = t.Unix(), int32(t.Nanosecond())
		e.Time = &b.time
	}
	if d.data.contentGiven {
		if err := b.fillContent(&d.data.content); err != nil {
			return nil, err
		}
		e.Content = &b.content
	}
	if d.data.viewerGiven {
		b.fillViewer(&d.data.viewer)
		e.Viewer = &b.viewer
	}
	if d.data.trackingGiven {
		e.Tracking = &d.data.tracking
	}
	return e, b.fillDetail(e, d.attrs.Type, &d.data)
}

// box holds the parts of the decoder's event, so that reading allocates none of them.
type box struct {
	time, publishedAt timestamppb.Timestamp
	content           sourcev1.Content
	viewer            sourcev1.Viewer

	started  sourcev1.ViewingEvent_VideoStarted
	progress sourcev1.ViewingEvent_VideoProgress
	ended    sourcev1.ViewingEvent_VideoEnded
	clicked  sourcev1.ViewingEvent_CallToActionClicked
	opened   sourcev1.ViewingEvent_DocumentOpened
	viewed   sourcev1.ViewingEvent_PageViewed
	closed   sourcev1.ViewingEvent_DocumentClosed
	ranges   []*sourcev1.TimeRange
}

func (b *box) fillContent(in *content) error {
	c := &b.content
	c.Reset()
	c.Id, c.Title, c.Url = in.id, in.title, in.url
	c.LengthSeconds, c.OwnerEmail, c.OwnerName = in.length, in.ownerEmail, in.ownerName
	var err error
	if c.PageCount, err = whole("data.content.pageCount", in.pages); err != nil {
		return err
	}
	if in.publishedAt != "" {
		t, err := parseTime("data.content.publishedAt", in.publishedAt)
		if err != nil {
			return err
		}
		b.publishedAt.Seconds, b.publishedAt.Nanos = t.Unix(), int32(t.Nanosecond())
		c.PublishedAt = &b.publishedAt
	}
	return nil
}

func (b *box) fillViewer(in *viewer) {
	v := &b.viewer
	v.Reset()
	v.Email, v.Name = in.email, in.name
	evidence, known := evidences[in.evidence]
	if !known {
		evidence = evidenceUnknown
	}
	v.Evidence = evidence
}

// whole reads a page number: a JSON number without a fraction, 2 and 2.0 alike.
func whole(path string, n float64) (uint32, error) {
	if n != math.Trunc(n) || n < 0 || n > math.MaxUint32 {
		return 0, badSchema(path, "must be a whole number, not negative")
	}
	return uint32(n), nil
}
