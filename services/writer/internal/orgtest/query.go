package orgtest

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// conversions answers what the Leads named in a query became.
func (o *Org) conversions(soql string) map[string]any {
	rows := []map[string]any{}
	for lead, contact := range o.Converted {
		if strings.Contains(soql, "'"+lead+"'") {
			rows = append(rows, map[string]any{"Id": lead, "ConvertedContactId": contact})
		}
	}
	return map[string]any{"done": true, "totalSize": len(rows), "records": rows}
}

// linksConverted reports whether a record links to a converted Lead.
func (o *Org) linksConverted(rec map[string]any) bool {
	for _, v := range rec {
		id, _ := v.(string)
		if _, converted := o.Converted[id]; converted {
			return true
		}
	}
	return false
}

// serveQuery answers the marker query: all records of the object in the scope and since the time.
func (o *Org) serveQuery(w http.ResponseWriter, soql string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queries = append(o.queries, soql)
	if strings.Contains(soql, "FROM Lead") {
		_ = json.NewEncoder(w).Encode(o.conversions(soql))
		return
	}
	if strings.Contains(soql, "FROM Campaign ") { // it has none
		_ = json.NewEncoder(w).Encode(map[string]any{"done": true, "totalSize": 0, "records": []any{}})
		return
	}
	from, _ := time.Parse(time.RFC3339, since.FindStringSubmatch(soql)[1])
	found := []map[string]any{}
	for _, r := range o.records {
		if r.Object != fromObject.FindStringSubmatch(soql)[1] || r.Created.Before(from) {
			continue
		}
		if m := inScope.FindStringSubmatch(soql); m != nil {
			v, _ := r.Fields[m[1]].(string)
			if !strings.Contains(m[2], "'"+v+"'") {
				continue
			}
		}
		row := map[string]any{"Id": r.ID, "CreatedDate": r.Created.UTC().Format("2006-01-02T15:04:05.000+0000")}
		for name, v := range r.Fields {
			row[name] = v
		}
		found = append(found, row)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"done": true, "totalSize": len(found), "records": found})
}
