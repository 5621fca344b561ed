package salesforce

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// bulkNull is the cell that clears a field; an empty cell leaves it as it is. Source: Bulk API 2.0 and Bulk API Developer
// Guide, "Prepare CSV Files".
const bulkNull = "#N/A"

// EncodeBulk writes records as the rows of a job. The header is the union of all records' fields, the key column first: Id for
// Update, the external id for Upsert. A field that a record does not have is left alone, nil and "" clear it. The key tells the
// rows of the results apart, for they come in any order, so no two records may have the same one; an Insert has none, and its
// results cannot be told apart by it. What cannot be a row is CodeBadRequest; see FitsBulk. Source: Bulk API 2.0 and Bulk API
// Developer Guide, "Prepare CSV Files".
func EncodeBulk(req BulkRequest, records []CollectionRecord) ([]byte, error) {
	columns := bulkColumns(req, records)
	at := make(map[string]int, len(columns))
	for i, name := range columns {
		at[name] = i
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if err := w.Write(columns); err != nil {
		return nil, badRequest("the header cannot be encoded")
	}
	row := make([]string, len(columns))
	seen := make(map[string]bool, len(records))
	for i := range records {
		clear(row)
		key := records[i].bulkKey(req.Operation)
		if req.Operation != Insert {
			if key == "" || seen[key] {
				return nil, badRequest("every row needs a key of its own", columns[0])
			}
			seen[key], row[0] = true, key
		}
		for _, f := range records[i].Fields {
			cell, err := bulkCell(f)
			if err != nil {
				return nil, err
			}
			row[at[f.Name]] = cell
		}
		if err := w.Write(row); err != nil {
			return nil, badRequest("a row cannot be encoded")
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// BulkKeyColumn is the column that tells the rows of a job's results apart; "" for Insert.
func (req BulkRequest) BulkKeyColumn() string {
	switch req.Operation {
	case Update:
		return "Id"
	case Upsert:
		return req.ExternalIDField
	case Insert:
	}
	return ""
}

// maxBulkField is the most characters of one cell. Source: Limits Quick Reference, "Bulk API and Bulk API 2.0 Limits and
// Allocations".
const maxBulkField = 131_072

// FitsBulk reports whether a record can be a row of a job, whose cells have at most 131,072 characters. A text that means null
// to the Bulk API, for one, cannot be told from it; such a record goes in a collection.
func (r *CollectionRecord) FitsBulk() bool {
	return !slices.ContainsFunc(r.Fields, func(f Field) bool {
		cell, err := bulkCell(f)
		return err != nil || (len(cell) > maxBulkField && utf8.RuneCountInString(cell) > maxBulkField)
	})
}

func (r *CollectionRecord) bulkKey(op Operation) string {
	if op == Update {
		return r.ID
	}
	return r.ExternalID
}

func bulkColumns(req BulkRequest, records []CollectionRecord) []string {
	known := map[string]bool{}
	var columns []string
	for i := range records {
		for _, f := range records[i].Fields {
			if !known[f.Name] {
				known[f.Name] = true
				columns = append(columns, f.Name)
			}
		}
	}
	slices.Sort(columns)
	if key := req.BulkKeyColumn(); key != "" {
		columns = slices.Insert(columns, 0, key)
	}
	return columns
}

func bulkCell(f Field) (string, error) {
	switch v := f.Value.(type) {
	case nil:
		return bulkNull, nil
	case string:
		switch v {
		case "":
			return bulkNull, nil
		case bulkNull:
			return "", badRequest("the text "+bulkNull+" means an empty field to the Bulk API; send this record otherwise", f.Name)
		}
		// A lone carriage return would not fit the job's line ends, and fail all of it.
		return strings.ToValidUTF8(strings.ReplaceAll(strings.ReplaceAll(v, "\r\n", "\n"), "\r", "\n"), "\uFFFD"), nil
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return "", badRequest("a number is not finite", f.Name)
		}
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	}
	return "", badRequest("a value is neither text, number, checkbox nor null", f.Name)
}

// BulkRow is what became of one row of a job.
type BulkRow struct {
	// Key is the row's cell in the key column that was asked for.
	Key string
	// RecordResult is empty for a row that was not done at all.
	RecordResult
}

// BulkResults are a job's rows by what became of them. Every row is in exactly one list once the job has ended.
type BulkResults struct {
	Successful, Failed, Unprocessed []BulkRow
	// Calls is how many calls of the org's allocation it took.
	Calls int
}

// BulkResults reads the result files of an ended job; key names the column that tells rows apart, and rows is how many rows of
// different keys the job had. A file that is not needed is not read: when all rows were successful there is nothing in the others.
// With rows 0 all three are read. Each file must fit max_response_bytes, or the error is CodeTooLarge. Source: Bulk API 2.0 and
// Bulk API Developer Guide, "Get Job Failed Record Results" and its neighbours.
func (c *Client) BulkResults(ctx context.Context, id, key string, rows int) (BulkResults, error) {
	var r BulkResults
	told := make(map[string]bool, rows)
	for _, f := range []struct {
		file string
		into *[]BulkRow
	}{{"successfulResults", &r.Successful}, {"failedResults", &r.Failed}, {"unprocessedrecords", &r.Unprocessed}} {
		r.Calls++
		read, err := c.bulkFile(ctx, id, f.file, key)
		if err != nil {
			return BulkResults{Calls: r.Calls}, err
		}
		*f.into = read
		for i := range read {
			told[read[i].Key] = true
		}
		if rows > 0 && len(told) >= rows {
			break
		}
	}
	return r, nil
}

func (c *Client) bulkFile(ctx context.Context, id, file, key string) ([]BulkRow, error) {
	r := &call{
		method: http.MethodGet, path: "/jobs/ingest/" + url.PathEscape(id) + "/" + file + "/", template: "/jobs/ingest/{id}/" + file,
		api: apiBulk, header: http.Header{"Accept": {"text/csv"}},
	}
	ans, _, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	rows, err := decodeBulk(ans.body, key)
	if err != nil {
		return nil, unparseable(r, ans.status)
	}
	return rows, nil
}

var errNoKeyColumn = errors.New("the result has no key column")

// decodeBulk reads a result file. Columns whose name begins with sf__ are Salesforce's; which there are tells the kinds apart.
func decodeBulk(file []byte, key string) ([]BulkRow, error) {
	r := csv.NewReader(bytes.NewReader(file))
	r.ReuseRecord = true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	at := func(name string) int {
		return slices.IndexFunc(header, func(h string) bool { return strings.EqualFold(h, name) })
	}
	keyAt, idAt, createdAt, errorAt := at(key), at("sf__Id"), at("sf__Created"), at("sf__Error")
	if keyAt < 0 && key != "" {
		return nil, errNoKeyColumn
	}
	cell := func(row []string, i int) string {
		if i < 0 {
			return ""
		}
		return row[i]
	}
	var rows []BulkRow
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		one := BulkRow{Key: strings.Clone(cell(row, keyAt))}
		one.ID, one.Created = strings.Clone(cell(row, idAt)), cell(row, createdAt) == "true"
		if errorAt >= 0 {
			one.Err = bulkRowError(row[errorAt])
		}
		rows = append(rows, one)
	}
}

// bulkRowError reads CODE:message:FIELD1,FIELD2--; the message may hold colons itself.
func bulkRowError(text string) *Error {
	text = strings.TrimSuffix(text, "--")
	code, rest, _ := strings.Cut(text, ":")
	message, names := rest, ""
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		message, names = rest[:i], rest[i+1:]
	}
	var fields []string
	for name := range strings.SplitSeq(names, ",") {
		if name = strings.TrimSpace(name); name != "" {
			fields = append(fields, name)
		}
	}
	return newError(0, code, message, fields)
}
