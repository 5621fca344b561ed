package cells

import (
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

// Same reports whether a record's field has the value already, as a query reads it: text without surrounding space and with its
// case, numbers at the field's places, times by the millisecond, choices in any order (WALK-29). What cannot be compared is not the
// same, and so is written.
func (c *Converter) Same(v Value, has any) bool {
	if v.Keep {
		return true
	}
	switch want := v.V.(type) {
	case nil:
		return has == nil || has == ""
	case bool:
		b, ok := has.(bool)
		return ok && b == want
	case float64:
		n, ok := has.(float64)
		return ok && c.rounded(n) == want
	case string:
		s, ok := has.(string)
		return ok && c.sameText(want, s)
	}
	return false
}

func (c *Converter) sameText(want, has string) bool {
	switch c.kind {
	case datetime:
		a, errA := salesforce.ParseTime(want)
		b, errB := salesforce.ParseTime(has)
		return errA == nil && errB == nil && a.Equal(b)
	case reference:
		full, err := salesforce.ID(has, "")
		return err == nil && full == want
	case address:
		return strings.EqualFold(want, strings.TrimSpace(has)) // Salesforce keeps addresses in lower case
	case choices:
		return slices.Equal(sorted(want), sorted(has))
	case clock:
		return strings.TrimSuffix(want, "Z") == strings.TrimSuffix(has, "Z")
	default:
		return want == strings.TrimSpace(strings.ReplaceAll(has, "\r\n", "\n"))
	}
}

func sorted(s string) []string {
	parts := strings.Split(s, ";")
	for i, p := range parts {
		parts[i] = strings.TrimSpace(p)
	}
	slices.Sort(parts)
	return slices.Compact(parts)
}
