package salesforce

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// BulkQueryPosition is a place in a query job's results; the zero value is their beginning. It can be stored, and is good for as
// long as the job exists, also with another page size.
type BulkQueryPosition struct {
	// Locator is Salesforce's name of a page, "" for the first.
	Locator string `json:"locator,omitempty"`
	// Row is how many rows from there on lie before the place.
	Row int `json:"row,omitempty"`
}

// BulkQueryRow is one row of a query job's results. Everything is text there, and null and the empty text are the same.
type BulkQueryRow struct {
	// Next is the place behind the row: begin there to go on after it.
	Next    BulkQueryPosition
	columns map[string]int
	cells   []string
}

// Has reports whether the results have a column, such as "Email" or "Owner.IsActive".
func (r BulkQueryRow) Has(column string) bool {
	_, ok := r.columns[strings.ToLower(column)]
	return ok
}

// String returns the text in a column, "" when it is null or there is no such column. Line breaks are "\n".
func (r BulkQueryRow) String(column string) string {
	if i, ok := r.columns[strings.ToLower(column)]; ok {
		return r.cells[i]
	}
	return ""
}

// Bool returns the checkbox in a column, or false.
func (r BulkQueryRow) Bool(column string) bool { return r.String(column) == "true" }

// Float returns the number in a column, or 0.
func (r BulkQueryRow) Float(column string) float64 {
	f, _ := strconv.ParseFloat(r.String(column), 64)
	return f
}

// Time returns the date or datetime in a column in UTC, or the zero time.
func (r BulkQueryRow) Time(column string) time.Time {
	t, _ := ParseTime(r.String(column))
	return t
}

// BulkQueryRows hands out the results of a query job that is JobComplete one by one, from a position on and in the same order
// each time. It holds one page of Config.BulkQuery.Page records; the next is asked for when it is wanted, and a page costs a
// call. A page larger than max_response_bytes is asked for again with half the records. An error is the last thing it hands
// out, and Next beside it is where to go on; see IsBulkQueryGone. Of a page that is not whole no row is handed out: Salesforce
// says how many it has. Source: Bulk API 2.0 and Bulk API Developer Guide, "Get Results for a Query Job".
func (c *Client) BulkQueryRows(ctx context.Context, id string, from BulkQueryPosition) iter.Seq2[BulkQueryRow, error] {
	return func(yield func(BulkQueryRow, error) bool) {
		cur, size := bulkCursor{at: BulkQueryPosition{Locator: from.Locator}, next: from, skip: from.Row}, c.cfg.BulkQuery.Page
		for {
			page, err := c.bulkQueryPage(ctx, id, cur.at.Locator, size)
			if e := new(Error); errors.As(err, &e) && e.Code == CodeTooLarge && size > 1 {
				size /= 2
				continue
			}
			if err != nil {
				yield(BulkQueryRow{Next: cur.next}, err)
				return
			}
			if !cur.handOut(page, yield) {
				return
			}
			if cur.at = (BulkQueryPosition{Locator: page.next}); page.next == "" {
				break
			}
		}
		if cur.skip > 0 {
			yield(BulkQueryRow{Next: cur.next}, badRequest("the position lies behind the end of the results"))
		}
	}
}

// bulkCursor is how far results have been handed out: at is the place in the page, next where to go on after the last row, and
// skip how many rows from here on were handed out before.
type bulkCursor struct {
	at, next BulkQueryPosition
	skip     int
}

// handOut hands out a page's rows. More reports whether more rows are wanted.
func (c *bulkCursor) handOut(page *bulkPage, yield func(BulkQueryRow, error) bool) (more bool) {
	for i, cells := range page.rows {
		c.at.Row++
		if c.skip > 0 {
			c.skip--
			continue
		}
		c.next = c.at
		if i == len(page.rows)-1 && page.next != "" {
			c.next = BulkQueryPosition{Locator: page.next}
		}
		if !yield(BulkQueryRow{Next: c.next, columns: page.columns, cells: cells}, nil) {
			return false
		}
	}
	return true
}

// bulkPage is one page of results.
type bulkPage struct {
	next    string // "" at the end
	columns map[string]int
	rows    [][]string
}

func (c *Client) bulkQueryPage(ctx context.Context, id, locator string, size int) (*bulkPage, error) {
	if id == "" {
		return nil, errNoJob()
	}
	r := bulkQueryCall(http.MethodGet, id)
	r.path, r.template = r.path+"/results", r.template+"/results"
	r.header = http.Header{"Accept": {"text/csv"}}
	r.query = url.Values{"maxRecords": {strconv.Itoa(size)}}
	if locator != "" {
		r.query.Set("locator", locator)
	}
	ans, _, err := c.do(ctx, r)
	if err != nil {
		return nil, bulkQueryError(err)
	}
	page, ok := readBulkPage(ans)
	if !ok || (page.next != "" && page.next == locator) {
		return nil, unparseable(r, ans.status)
	}
	return page, nil
}

// readBulkPage reads a page that is whole (promise 3). A maintenance page with status 200, an answer without a body, one that a
// proxy took the headers from and one with fewer or more rows than it says are none: taking it for one would lose rows without
// a word.
func readBulkPage(ans *answer) (page *bulkPage, ok bool) {
	records, err := strconv.Atoi(ans.header.Get("Sforce-NumberOfRecords"))
	if err != nil || records < 0 || ans.status != http.StatusOK {
		return nil, false
	}
	page = &bulkPage{next: ans.header.Get("Sforce-Locator")}
	if page.next == "null" {
		page.next = ""
	}
	if records == 0 {
		return page, true // the body is a header line, a sentence, or nothing
	}
	media, _, err := mime.ParseMediaType(ans.header.Get("Content-Type"))
	if err != nil || media != "text/csv" {
		return nil, false
	}
	lines, err := csv.NewReader(bytes.NewReader(ans.body)).ReadAll()
	if err != nil || len(lines) != records+1 {
		return nil, false
	}
	page.columns, page.rows = make(map[string]int, len(lines[0])), lines[1:]
	for i, name := range lines[0] {
		page.columns[strings.ToLower(name)] = i
	}
	return page, true
}
