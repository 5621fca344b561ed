package simulator

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// target finds the org of the parameter "org".
func (s *Simulator) target(r *http.Request) (*tenant, error) {
	key := r.URL.Query().Get("org")
	t, exists := s.find(key)
	if !exists {
		return nil, fmt.Errorf("org %q: %w", key, ErrUnknownOrg)
	}
	return t, nil
}

// export writes all records of an object as NDJSON, as the REST API would write them. Parameter deleted=true includes the
// recycle bin.
func (s *Simulator) export(w http.ResponseWriter, r *http.Request) {
	t, err := s.target(r)
	if err != nil {
		writeError(w, err)
		return
	}
	object := r.URL.Query().Get("object")
	if _, ok := t.org.Schema.Object(object); !ok {
		writeError(w, fmt.Errorf("org %s has no object %q", t.org.Key, object))
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	if err := s.Export(r.Context(), w, Selection{Org: t.org.Key, Object: object, Deleted: r.URL.Query().Get("deleted") == "true"}); err != nil {
		s.deps.Logger.WarnContext(r.Context(), "an export ended early", "org", t.org.Key, "object", object, "error", err)
	}
}

// Selection names the records of an export.
type Selection struct {
	Org, Object string
	// Deleted includes the recycle bin.
	Deleted bool
}

// Export writes records as NDJSON: one object per line with every field, in the order of creation.
func (s *Simulator) Export(ctx context.Context, w io.Writer, sel Selection) error {
	t, exists := s.find(sel.Org)
	if !exists {
		return fmt.Errorf("org %q: %w", sel.Org, ErrUnknownOrg)
	}
	object, ok := t.org.Schema.Object(sel.Object)
	if !ok {
		return fmt.Errorf("org %s has no object %q", sel.Org, sel.Object)
	}
	var rows []*record.Record // records do not change, so they can be written without the lock
	err := t.org.View(ctx, func() {
		t.org.Table(object).All(func(rec *record.Record) bool {
			if sel.Deleted || !rec.Deleted() {
				rows = append(rows, rec)
			}
			return true
		})
	})
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	var line []byte
	for _, rec := range rows {
		line = appendLine(line[:0], object, rec)
		if _, err := out.Write(line); err != nil {
			return fmt.Errorf("write export: %w", err)
		}
	}
	return out.Flush()
}

// observer shows changes to whom Deps names, nil when that is nobody.
func (s *Simulator) observer() func(string, *schema.Object, *record.Record) {
	if s.deps.Observe == nil {
		return nil
	}
	return func(key string, object *schema.Object, rec *record.Record) {
		s.deps.Observe(Change{Org: key, Object: object.Name, Record: appendLine(nil, object, rec)})
	}
}

func appendLine(dst []byte, object *schema.Object, rec *record.Record) []byte {
	for i, f := range object.Fields {
		dst = append(dst, ",{"[b2i(i == 0)])
		dst = record.AppendString(dst, f.Name)
		dst = append(dst, ':')
		dst = record.AppendJSON(dst, rec.Get(f.Slot))
	}
	return append(dst, "}\n"...)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// endSessions ends the sessions of an org; with refresh=true its refresh tokens as well.
func (s *Simulator) endSessions(w http.ResponseWriter, r *http.Request) {
	t, err := s.target(r)
	if err != nil {
		writeError(w, err)
		return
	}
	n := 0
	if r.URL.Query().Get("refresh") == "true" {
		n = t.auth.RevokeAll()
	} else {
		n = t.auth.ExpireAll()
	}
	writeJSON(w, http.StatusOK, map[string]int{"ended": n})
}

// setQuota changes an org's daily limit (parameter limit) or counts calls as made (parameter use).
func (s *Simulator) setQuota(w http.ResponseWriter, r *http.Request) {
	t, err := s.target(r)
	if err != nil {
		writeError(w, err)
		return
	}
	for _, change := range []struct {
		name  string
		apply func(int)
	}{
		{"limit", t.quota.SetLimit},
		{"use", func(n int) { t.quota.Use(s.clock.Now(), n) }},
	} {
		text := r.URL.Query().Get(change.name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			writeError(w, fmt.Errorf("%s: %w", change.name, err))
			return
		}
		change.apply(n)
	}
	used, limit := t.quota.Usage(s.clock.Now())
	writeJSON(w, http.StatusOK, map[string]int{"used": used, "limit": limit})
}

// setRules replaces the validation rules of an org by those of the body.
func (s *Simulator) setRules(w http.ResponseWriter, r *http.Request) {
	data, ok := readControl(w, r)
	if !ok {
		return
	}
	var body struct {
		ValidationRules []ValidationRule `yaml:"validation_rules"`
	}
	strict := yaml.NewDecoder(bytes.NewReader(data))
	strict.KnownFields(true)
	if err := strict.Decode(&body); err != nil && !errors.Is(err, io.EOF) {
		writeError(w, err)
		return
	}
	if err := s.SetValidationRules(r.URL.Query().Get("org"), body.ValidationRules...); err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]int{"validation_rules": len(body.ValidationRules)})
}

// SetValidationRules replaces the validation rules of an org, as its administrator would, until the org is reset or the
// simulator ends; none removes them all.
func (s *Simulator) SetValidationRules(org string, rules ...ValidationRule) error {
	t, exists := s.find(org)
	if !exists {
		return fmt.Errorf("org %q: %w", org, ErrUnknownOrg)
	}
	return t.org.SetValidation(rules)
}
