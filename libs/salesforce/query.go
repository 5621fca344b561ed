package salesforce

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// MaxQueryBytes is the longest URL-encoded query that fits a request, in bytes; QueryFits measures one. Salesforce bounds address
// and headers together at 16,384 bytes. Source: REST API Developer Guide, "Status Codes and Error Responses".
const MaxQueryBytes = maxAddress - 500

// QueryFits reports whether a query fits a request; split its list of keys otherwise, or make a query job of it.
func QueryFits(soql string) bool { return len(url.QueryEscape(soql)) <= MaxQueryBytes }

// Query runs a SOQL query and returns the records of all its pages. Without ORDER BY their order is not defined.
// More than Config.MaxQueryRecords records are CodeTooLarge, not a cut; a query that does not fit is CodeURITooLong. Each page of
// up to 2,000 records is a call. Source: REST API Developer Guide, "Query" and "Query More Results".
func (c *Client) Query(ctx context.Context, soql string) ([]Record, error) {
	return c.query(ctx, "/query", soql)
}

// QueryAll is Query over deleted, merged and archived records too; ask for IsDeleted to tell them apart. Source: REST API
// Developer Guide, "QueryAll".
func (c *Client) QueryAll(ctx context.Context, soql string) ([]Record, error) {
	return c.query(ctx, "/queryAll", soql)
}

// Tooling runs a SOQL query of the Tooling API, on what describes the org itself, such as layouts. A user who may not view setup
// gets INVALID_TYPE. Source: Tooling API Developer Guide, "REST Resources".
func (c *Client) Tooling(ctx context.Context, soql string) ([]Record, error) {
	return c.query(ctx, "/tooling/query", soql)
}

func (c *Client) query(ctx context.Context, path, soql string) ([]Record, error) {
	var records []Record
	for record, err := range c.rows(ctx, path, soql) {
		if err != nil {
			return nil, err
		}
		if len(records) == c.cfg.MaxQueryRecords {
			return nil, &Error{
				Class: ClassUnknown, Reason: ReasonRejected, Code: CodeTooLarge, Split: true,
				Detail: "the query found more than max_query_records records",
			}
		}
		records = append(records, record)
	}
	return records, nil
}

// Rows runs a SOQL query and hands out its records one by one, holding one page of up to 2,000 at a time, however many there
// are; the next page is asked for when it is wanted, and a page costs a call. An error is the last thing it hands out.
// Salesforce keeps a query's result for 2 days; INVALID_QUERY_LOCATOR after that means to start again, behind the last record
// seen. Source: REST API Developer Guide, "Query" and "Query More Results".
func (c *Client) Rows(ctx context.Context, soql string) iter.Seq2[Record, error] {
	return c.rows(ctx, "/query", soql)
}

// AllRows is Rows over deleted, merged and archived records too; ask for IsDeleted to tell them apart.
func (c *Client) AllRows(ctx context.Context, soql string) iter.Seq2[Record, error] {
	return c.rows(ctx, "/queryAll", soql)
}

func (c *Client) rows(ctx context.Context, path, soql string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		r := &call{method: http.MethodGet, path: path, template: path, api: "rest", query: url.Values{"q": {soql}}}
		for {
			page, err := c.queryPage(ctx, r)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, record := range page.Records {
				if !yield(record, nil) {
					return
				}
			}
			// Pages may be short, even empty: only these two tell the end.
			if page.Done || page.NextRecordsURL == "" {
				return
			}
			if !strings.HasPrefix(page.NextRecordsURL, "/services/data/") || page.NextRecordsURL == r.path {
				yield(nil, unparseable(r, http.StatusOK))
				return
			}
			r = &call{method: http.MethodGet, path: page.NextRecordsURL, template: path + "/{locator}", api: "rest"}
		}
	}
}

type queryPage struct {
	Done           *bool    `json:"done"`
	NextRecordsURL string   `json:"nextRecordsUrl"`
	Records        []Record `json:"records"`
}

func (c *Client) queryPage(ctx context.Context, r *call) (page struct {
	Done           bool
	NextRecordsURL string
	Records        []Record
}, err error,
) {
	ans, _, err := c.do(ctx, r)
	if err != nil {
		return page, err
	}
	var wire queryPage
	if json.Unmarshal(ans.body, &wire) != nil || wire.Done == nil {
		return page, unparseable(r, ans.status)
	}
	page.Done, page.NextRecordsURL, page.Records = *wire.Done, wire.NextRecordsURL, wire.Records
	return page, nil
}

var soqlEscapes = strings.NewReplacer(
	`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\b", `\b`, "\f", `\f`,
)

// Quote returns s as a SOQL string literal, quotes included. Control characters that SOQL has no escape for are dropped. It does
// not check MaxLiteral; Literal does. Source: SOQL and SOSL Reference, "Quoted String Escape Sequences".
func Quote(s string) string {
	s = strings.Map(func(r rune) rune {
		if (r < 0x20 && !strings.ContainsRune("\n\r\t\b\f", r)) || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return "'" + soqlEscapes.Replace(s) + "'"
}

// QuoteList returns the values as a SOQL list for IN: ('a','b'). An empty list is no SOQL.
func QuoteList(values []string) string {
	var b strings.Builder
	b.WriteByte('(')
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(Quote(v))
	}
	b.WriteByte(')')
	return b.String()
}

// DateTime returns t as a SOQL datetime literal, which takes no quotes, in UTC and cut to the second. Source: SOQL and SOSL
// Reference, "Date Formats and Date Literals".
func DateTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
