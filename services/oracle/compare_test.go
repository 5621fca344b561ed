package oracle_test

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/generator"
	"github.com/throughline-dev/throughline/services/generator/world"
	"github.com/throughline-dev/throughline/services/oracle"
)

// comparison is an expectation over generated traffic, and records that fulfil it.
type comparison struct {
	world *world.World
	want  *oracle.Expectation
	have  []oracle.Record
}

func setupComparison(t *testing.T) *comparison {
	t.Helper()
	cfg := generator.DefaultConfig()
	cfg.Now, cfg.Events, cfg.Viewers, cfg.Contents = noon, 4000, 60, 30
	g, err := generator.New(cfg)
	require.NoError(t, err)
	o, err := oracle.New(g.World(), oracle.DefaultOptions())
	require.NoError(t, err)
	for e := range g.Events() {
		o.Observe(raw(e))
	}
	c := &comparison{world: g.World(), want: o.Expect()}
	for _, e := range c.want.Engagements {
		if !e.Forgotten {
			c.have = append(c.have, row(e))
		}
	}
	for _, task := range c.want.Tasks {
		c.have = append(c.have, todo(task, ""))
	}
	return c
}

func raw(e generator.Event) oracle.Raw {
	r := oracle.Raw{Value: e.Value}
	for _, h := range e.Headers {
		r.Headers = append(r.Headers, oracle.Header(h))
	}
	return r
}

// row is what a correct pipeline leaves in Engagement__c.
func row(e oracle.Engagement) oracle.Record {
	fields := map[string]any{
		"Viewer_Email__c": e.Viewer, "Content_Id__c": e.ContentID, "Title__c": e.Title, "Content_Url__c": e.URL,
		"View_Count__c": float64(e.Views), "Visit_Count__c": float64(e.Visits), "Identity_Method__c": e.Methods[0],
		"First_Viewed_At__c": e.First.Format("2006-01-02T15:04:05.000+0000"), "Last_Viewed_At__c": e.Last.Format(time.RFC3339Nano),
		"Creator_Name__c": e.OwnerName, "Creator_Email__c": e.OwnerEmail,
		"Lead__c": e.Lead, "Contact__c": e.Contact, "Account__c": e.Account,
	}
	if runes := []rune(e.Title); len(runes) > 255 {
		fields["Title__c"] = string(runes[:254]) + "…"
	}
	if e.Document {
		fields["Dwell_Seconds__c"] = math.Round(e.Dwell*1000) / 1000
		return oracle.Record{Org: e.Org, Object: "Engagement__c", Fields: fields}
	}
	fields["Watch_Seconds__c"], fields["Percent_Watched__c"] = math.Round(e.Watched*1000)/1000, math.Round(e.Percent*100)/100
	fields["Length_Seconds__c"], fields["CTA_Clicks__c"] = math.Round(e.Length), float64(e.Clicks)
	if e.Clicks > 0 {
		fields["Last_CTA_Label__c"], fields["Last_CTA_At__c"] = e.LastClickLabel, e.LastClickAt.Format(time.RFC3339Nano)
	}
	return oracle.Record{Org: e.Org, Object: "Engagement__c", Fields: fields}
}

// todo is what a correct pipeline leaves in Task.
func todo(t oracle.Task, marker string) oracle.Record {
	labels, page := []string{"Document", "Viewer", "Left on page", "Time spent", "Viewing history"}, "–"
	if t.Language == "ja" {
		labels = []string{"資料名", "閲覧者", "離脱ページ", "閲覧時間", "閲覧履歴"}
	}
	if t.Page > 0 {
		page = strconv.Itoa(t.Page)
	}
	var lines []string
	for i, value := range []string{t.Title, t.Viewer, page, spent(t), t.History + "/k3y"} {
		lines = append(lines, labels[i]+": "+value)
	}
	title := t.Title
	if runes := []rune(title); len(runes) > 150 {
		title = string(runes[:150]) + "…"
	}
	return oracle.Record{Org: t.Org, Object: "Task", Fields: map[string]any{
		"WhoId": t.Who, "OwnerId": t.Owner, "ActivityDate": t.Due, "Subject": t.Viewer + " closed “" + title + "”",
		"Description": strings.Join(lines, "\n") + marker,
	}}
}

func spent(t oracle.Task) string {
	d := time.Duration(math.Round(t.Dwell)) * time.Second
	text := ""
	for _, unit := range []struct {
		size   time.Duration
		en, ja string
	}{{time.Hour, "h", "時間"}, {time.Minute, "min", "分"}, {time.Second, "s", "秒"}} {
		n := d / unit.size
		d -= n * unit.size
		switch {
		case n == 0:
		case t.Language == "ja":
			text += fmt.Sprintf("%d%s", n, unit.ja)
		default:
			text += fmt.Sprintf(" %d %s", n, unit.en)
		}
	}
	return strings.TrimSpace(text)
}

// find returns the index of the first record of the object that holds.
func (c *comparison) find(object string, holds func(r oracle.Record) bool) int {
	return slices.IndexFunc(c.have, func(r oracle.Record) bool { return r.Object == object && holds(r) })
}

func any1(oracle.Record) bool { return true }

func TestCompareFindsNothingWrongWithCorrectRecords(t *testing.T) {
	t.Parallel()
	c := setupComparison(t)
	report := oracle.Compare(c.want, c.have)
	require.True(t, report.OK(), report.String())
	require.Len(t, c.have, report.Expected)
	require.Len(t, c.have, report.Written)
	require.Greater(t, report.Expected, 200)
}

func TestCompareDoesNotMindWhatIsLeftOpen(t *testing.T) {
	t.Parallel()
	c := setupComparison(t)
	slices.Reverse(c.have)
	for i := range c.have {
		r := &c.have[i]
		if r.Object != "Task" {
			continue
		}
		r.Fields["Description"] = r.Fields["Description"].(string) + "\nRef: tl-abc"
		r.Fields["WhoId"] = r.Fields["WhoId"].(string)[:min(15, len(r.Fields["WhoId"].(string)))]
		if r.Fields["OwnerId"] == "" {
			r.Fields["OwnerId"] = c.world.Workspace(r.Org).Org.IntegrationUser
		}
	}
	for _, e := range c.want.Engagements {
		if e.Forgotten {
			c.have = append(c.have, oracle.Record{Org: e.Org, Object: "Engagement__c", Fields: map[string]any{
				"Viewer_Email__c": e.Viewer, "Content_Id__c": e.ContentID, "View_Count__c": 0.0, "Percent_Watched__c": 12.0,
				"Lead__c": e.Lead, "Contact__c": e.Contact, "Account__c": e.Account, "Title__c": e.Title,
			}})
		}
	}
	c.have = append(c.have, oracle.Record{Org: "acme", Object: "Lead"})
	report := oracle.Compare(c.want, c.have)
	require.True(t, report.OK(), report.String())
}

// TestCompareNoticesEveryChange damages one record at a time.
func TestCompareNoticesEveryChange(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		object, field    string
		change           func(value any) any
		lost, duplicates int
	}{
		"a stale view count":           {"Engagement__c", "View_Count__c", plus(-1), 1, 0},
		"a visit counted twice":        {"Engagement__c", "Visit_Count__c", plus(1), 1, 0},
		"a missing count":              {"Engagement__c", "Visit_Count__c", always(nil), 1, 0},
		"a count that is text":         {"Engagement__c", "Visit_Count__c", always("1"), 1, 0},
		"seconds counted twice":        {"Engagement__c", "Watch_Seconds__c", plus(0.1), 1, 0},
		"dwell lost":                   {"Engagement__c", "Dwell_Seconds__c", plus(-0.1), 1, 0},
		"a percent too low":            {"Engagement__c", "Percent_Watched__c", plus(-0.02), 1, 0},
		"a double click counted twice": {"Engagement__c", "CTA_Clicks__c", plus(1), 1, 0},
		"another button":               {"Engagement__c", "Last_CTA_Label__c", always("Other"), 1, 0},
		"a click at another time":      {"Engagement__c", "Last_CTA_At__c", always("2026-03-04T01:00:00.000+0000"), 1, 0},
		"another lead":                 {"Engagement__c", "Lead__c", always("00Q5TA000099999AAA"), 1, 0},
		"another contact":              {"Engagement__c", "Contact__c", always("0035TA000099999AAA"), 1, 0},
		"another account":              {"Engagement__c", "Account__c", always(nil), 1, 0},
		"a late first view":            {"Engagement__c", "First_Viewed_At__c", always("2026-03-04T11:59:00.000+0000"), 1, 0},
		"a time of processing":         {"Engagement__c", "Last_Viewed_At__c", always("2026-03-04T12:00:05.000+0000"), 1, 0},
		"no time at all":               {"Engagement__c", "Last_Viewed_At__c", always(nil), 1, 0},
		"another method":               {"Engagement__c", "Identity_Method__c", always("Guessed"), 1, 0},
		"another title":                {"Engagement__c", "Title__c", always("Other"), 1, 0},
		"another link":                 {"Engagement__c", "Content_Url__c", always("https://other.example"), 1, 0},
		"another creator":              {"Engagement__c", "Creator_Name__c", always("Somebody"), 1, 0},
		"another viewer":               {"Engagement__c", "Viewer_Email__c", always("other@x.example"), 1, 1},
		"another content":              {"Engagement__c", "Content_Id__c", always("other"), 1, 1},
		"a task for somebody else":     {"Task", "WhoId", always("00Q5TA000099999AAA"), 1, 0},
		"a task of somebody else":      {"Task", "OwnerId", always("0055TA000099999AAA"), 1, 0},
		"a task of the next day":       {"Task", "ActivityDate", always("2026-03-09"), 1, 0},
		"a subject without address":    {"Task", "Subject", always("Somebody closed a document"), 1, 0},
		"a comment of another viewer":  {"Task", "Description", replaced("@", "@other."), 1, 1},
		"a comment without a link":     {"Task", "Description", replaced("https://app.example/", "-"), 1, 0},
		"another dwell time":           {"Task", "Description", replaced("Time spent: ", "Time spent: 9 h "), 1, 0},
		"another page":                 {"Task", "Description", replaced("Left on page: ", "Left on page: 9"), 1, 0},
		"a comment with a line less":   {"Task", "Description", replaced("\nTime spent", " Time spent"), 1, 1},
	}
	c := setupComparison(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := c.find(tt.object, func(r oracle.Record) bool {
				value := r.Fields[tt.field]
				english := tt.field != "Description" || strings.Contains(fmt.Sprint(value), "Time spent: ")
				return value != nil && value != "" && english && !zero(tt.field, value)
			})
			require.GreaterOrEqual(t, i, 0)
			have := slices.Clone(c.have)
			fields := make(map[string]any)
			for k, v := range have[i].Fields {
				fields[k] = v
			}
			fields[tt.field] = tt.change(fields[tt.field])
			have[i].Fields = fields
			report := oracle.Compare(c.want, have)
			require.Equal(t, tt.lost, report.Lost, report.String())
			require.Equal(t, tt.duplicates, report.Duplicates, report.String())
			require.Len(t, report.Extra, tt.duplicates)
			require.Equal(t, tt.lost > 0 && tt.duplicates == 0, len(report.Wrong) > 0)
		})
	}
}

// zero reports numbers that a change of one would make negative.
func zero(field string, value any) bool {
	n, ok := value.(float64)
	return ok && n < 1 && field != "CTA_Clicks__c"
}

func plus(n float64) func(any) any { return func(v any) any { return v.(float64) + n } }

func always(to any) func(any) any { return func(any) any { return to } }

func replaced(from, to string) func(any) any {
	return func(v any) any { return strings.Replace(v.(string), from, to, 1) }
}

func TestCompareNoticesWhatIsMissingOrTooMuch(t *testing.T) {
	t.Parallel()
	c := setupComparison(t)
	for _, object := range []string{"Engagement__c", "Task"} {
		i := c.find(object, any1)

		report := oracle.Compare(c.want, append(slices.Clone(c.have), c.have[i]))
		require.Equal(t, 0, report.Lost, report.String())
		require.Equal(t, 1, report.Duplicates)
		require.Contains(t, report.String(), "extra: "+c.have[i].Org+" "+object)

		report = oracle.Compare(c.want, slices.Delete(slices.Clone(c.have), i, i+1))
		require.Equal(t, 1, report.Lost, report.String())
		require.Equal(t, 0, report.Duplicates)
		require.Contains(t, report.String(), "missing: "+c.have[i].Org+" "+object)

		stranger := oracle.Record{Org: "globex", Object: object, Fields: map[string]any{"Viewer_Email__c": "a@b.example"}}
		report = oracle.Compare(c.want, append(slices.Clone(c.have), stranger))
		require.Equal(t, 0, report.Lost)
		require.Equal(t, 1, report.Duplicates)
	}
	report := oracle.Compare(c.want, nil)
	require.Equal(t, report.Expected, report.Lost)
	require.LessOrEqual(t, len(report.Missing), 200)
}

func TestCompareTellsARowOfTheWrongOrg(t *testing.T) {
	t.Parallel()
	c := setupComparison(t)
	i := c.find("Task", func(r oracle.Record) bool { return r.Org == "acme" })
	have := slices.Clone(c.have)
	have[i].Org = "globex"
	report := oracle.Compare(c.want, have)
	require.Equal(t, 1, report.Lost)
	require.Equal(t, 1, report.Duplicates)
}

func TestReadRecords(t *testing.T) {
	t.Parallel()
	records, err := oracle.ReadRecords(strings.NewReader(`{"org":"a","object":"Task","fields":{"WhoId":null,"N":1}}` + "\n\n"))
	require.NoError(t, err)
	require.Equal(t, []oracle.Record{{Org: "a", Object: "Task", Fields: map[string]any{"WhoId": nil, "N": 1.0}}}, records)
	_, err = oracle.ReadRecords(strings.NewReader("{}\n[]"))
	require.ErrorContains(t, err, "line 2")
}
