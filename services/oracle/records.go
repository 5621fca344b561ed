package oracle

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Record is one record as an org holds it.
type Record struct {
	// Org is the id of the workspace whose org holds it.
	Org string `json:"org"`
	// Object is its API name, e.g. Task.
	Object string `json:"object"`
	// Fields by API name; numbers as float64, absent ones nil or missing.
	Fields map[string]any `json:"fields"`
}

// maxLine is the longest line ReadRecords takes: a record's longest text has 131,072 characters.
const maxLine = 4 << 20

// ReadRecords reads records, one JSON object per line; empty lines are skipped. Errors name the line.
func ReadRecords(r io.Reader) ([]Record, error) {
	var records []Record
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for n := 1; lines.Scan(); n++ {
		if len(strings.TrimSpace(lines.Text())) == 0 {
			continue
		}
		var record Record
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			return nil, fmt.Errorf("oracle: records, line %d: %w", n, err)
		}
		records = append(records, record)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("oracle: records: %w", err)
	}
	return records, nil
}

// text returns a field as text; nil and missing are "".
func (r *Record) text(field string) string {
	switch v := r.Fields[field].(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// number returns a field as number; ok is false when it holds none. Missing is 0.
func (r *Record) number(field string) (n float64, ok bool) {
	switch v := r.Fields[field].(type) {
	case nil:
		return 0, true
	case float64:
		return v, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case json.Number:
		n, err := v.Float64()
		return n, err == nil
	default:
		return 0, false
	}
}

// salesforceTimes are the forms in which Salesforce states a moment.
var salesforceTimes = []string{"2006-01-02T15:04:05.000Z0700", time.RFC3339Nano, "2006-01-02T15:04:05Z0700"}

// moment returns a field as time; ok is false when it holds none.
func (r *Record) moment(field string) (at time.Time, ok bool) {
	if v, isTime := r.Fields[field].(time.Time); isTime {
		return v, true
	}
	s, _ := r.Fields[field].(string)
	for _, layout := range salesforceTimes {
		if at, err := time.Parse(layout, s); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
