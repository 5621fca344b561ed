package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
	"github.com/throughline-dev/throughline/services/simulator/internal/stats"
)

const (
	pageLength   = 50
	latestLength = 15
	callsShown   = 20
	// relatedLength is how many rows a related list shows.
	relatedLength = 100
)

// view makes the page of one request. Its methods that read records run while the org's tables stand still.
type view struct {
	Tenant
	page    page
	request *http.Request
}

// link is a record's name and where its page is.
type link struct{ Name, Path string }

// row is one record in a list.
type row struct {
	link
	Object  string
	Changed string
	Cells   []string
}

type orgView struct {
	Name, Path, Login, Edition, Language, TimeZone string
	Package                                        bool
	Used, Limit                                    int
}

func orgViews(list []Tenant, origin string) []orgView {
	var out []orgView
	for _, t := range list {
		spec := t.Org.Spec
		out = append(out, orgView{
			Name: spec.Name, Path: "/orgs/" + t.Org.Key + "/", Login: origin + "/orgs/" + t.Org.Key, Edition: spec.Edition,
			Language: spec.Language, TimeZone: spec.TimeZone, Package: spec.Package, Used: t.Used, Limit: t.Limit,
		})
	}
	return out
}

// open fills the page for a path and names its template.
func (v *view) open(path string) (template string, status int) {
	err := v.Org.View(v.request.Context(), func() { template, status = v.choose(path) })
	if err != nil {
		return "missing", http.StatusServiceUnavailable
	}
	return template, status
}

func (v *view) choose(path string) (template string, status int) {
	if path == "" {
		v.home()
		return "org", http.StatusOK
	}
	if id, err := sfid.Long(path); err == nil {
		if o, known := v.Org.Schema.ByPrefix(sfid.Prefix(id)); known {
			if rec, found := v.Org.Table(o).Get(id); found {
				v.record(o, rec)
				return "record", http.StatusOK
			}
		}
	}
	if o, known := v.Org.Schema.Object(path); known {
		v.list(o)
		return "object", http.StatusOK
	}
	v.page.Title = v.page.T("notFound")
	return "missing", http.StatusNotFound
}

// homeView is the org's first page.
type homeView struct {
	Org     orgView
	Objects []objectCount
	Latest  []row
	Calls   []stats.Call
}

type objectCount struct {
	link
	Count int
}

func (v *view) home() {
	v.page.Title = v.Org.Spec.Name
	data := homeView{Org: orgViews([]Tenant{v.Tenant}, "")[0]}
	data.Org.Login = strings.TrimSuffix(v.page.Base, "/")
	for _, o := range v.Org.Schema.Objects() {
		n := v.Org.Table(o).Live()
		data.Objects = append(data.Objects, objectCount{link{title(o, v.page.translator), v.page.Base + "/" + o.Name}, n})
	}
	data.Latest = v.latest()
	for i := len(v.Calls) - 1; i >= 0 && len(data.Calls) < callsShown; i-- {
		data.Calls = append(data.Calls, v.Calls[i])
	}
	v.page.Data = data
}

// latest lists the newest records of the objects that people look at.
func (v *view) latest() []row {
	var out []row
	for _, name := range []string{"Task", "Engagement__c", "Lead", "Contact", "CampaignMember"} {
		o, ok := v.Org.Schema.Object(name)
		if !ok {
			continue
		}
		n := 0
		v.Org.Table(o).Backward(func(rec *record.Record) bool {
			if !rec.Deleted() {
				out = append(out, v.row(o, rec, nil))
				n++
			}
			return n < latestLength/3
		})
	}
	return out
}

func (v *view) row(o *schema.Object, rec *record.Record, columns []*schema.Field) row {
	out := row{link: v.linkTo(o, rec), Object: o.Title(v.page.language), Changed: v.text(rec.Get(record.SlotLastModifiedDate))}
	for _, f := range columns {
		out.Cells = append(out.Cells, v.value(f, rec).Text)
	}
	return out
}

// linkTo names a record; an engagement is named by its title.
func (v *view) linkTo(o *schema.Object, rec *record.Record) link {
	name := rec.Text(o.NameField().Slot)
	if titled := rec.Text(o.Slot("Title__c")); titled != "" {
		name = titled
	}
	if name == "" {
		name = rec.ID()
	}
	return link{name, v.page.Base + "/" + rec.ID()}
}

// find returns the record with the id and its object.
func (v *view) find(id string) (*schema.Object, *record.Record, bool) {
	o, known := v.Org.Schema.ByPrefix(sfid.Prefix(id))
	if !known {
		return nil, nil, false
	}
	rec, found := v.Org.Table(o).Get(id)
	return o, rec, found
}

// nameOf links to the record with the id; the zero link when there is none.
func (v *view) nameOf(id string) link {
	if o, rec, found := v.find(id); found {
		return v.linkTo(o, rec)
	}
	return link{Name: id}
}

// text writes a value as people of the org read it.
func (v *view) text(value record.Value) string {
	switch value := value.(type) {
	case record.DateTime:
		return value.Time().In(v.Org.Zone).Format("2006-01-02 15:04")
	case bool:
		if value {
			return "✓"
		}
		return "–"
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	}
	return record.Text(value)
}

// listView is one page of an object's records.
type listView struct {
	Columns      []string
	Rows         []row
	Total        int
	Query        string
	Newer, Older string
}

func (v *view) list(o *schema.Object) {
	values := v.request.URL.Query()
	query := strings.TrimSpace(values.Get("q"))
	number, err := strconv.Atoi(values.Get("page"))
	if err != nil || number < 0 {
		number = 0
	}
	columns := listColumns(o)
	data := listView{Query: query, Total: v.Org.Table(o).Live()}
	for _, f := range columns {
		data.Columns = append(data.Columns, f.Title(v.page.language))
	}
	skip := number * pageLength
	v.Org.Table(o).Backward(func(rec *record.Record) bool {
		if rec.Deleted() || !v.matches(o, rec, query) {
			return true
		}
		if skip > 0 {
			skip--
			return true
		}
		if len(data.Rows) == pageLength {
			data.Older = "?q=" + query + "&page=" + strconv.Itoa(number+1)
			return false
		}
		data.Rows = append(data.Rows, v.row(o, rec, columns))
		return true
	})
	if number > 0 {
		data.Newer = "?q=" + query + "&page=" + strconv.Itoa(number-1)
	}
	v.page.Title = title(o, v.page.translator)
	v.page.Data = data
}

func (v *view) matches(o *schema.Object, rec *record.Record, query string) bool {
	if query == "" {
		return true
	}
	query = record.Fold(query)
	for _, name := range []string{"Name", "Email", "Subject", "Title__c", "Viewer_Email__c", "Username"} {
		if slot := o.Slot(name); slot >= 0 && strings.Contains(record.Fold(rec.Text(slot)), query) {
			return true
		}
	}
	return false
}

// listColumns chooses the columns of an object's list.
func listColumns(o *schema.Object) []*schema.Field {
	var out []*schema.Field
	for _, name := range []string{
		"Company", "AccountId", "Email", "Viewer_Email__c", "Content_Kind__c", "View_Count__c", "Percent_Watched__c", "ActivityDate", "Status", "StageName",
		"WhoId", "LeadId", "ContactId", "Title", "OwnerId", "IsActive",
	} {
		if f, ok := o.Field(name); ok && len(out) < 5 {
			out = append(out, f)
		}
	}
	return out
}

// clock writes how long something took.
func clock(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	return d.String()
}
