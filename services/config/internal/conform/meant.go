package conform

import (
	"strings"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// maxDistance is how many letters a name may differ in to be taken for the one that was meant.
const maxDistance = 2

// meant suggests the field that was meant by a name that is not there: a label, a name without its suffix, a typing error. A
// field that was renamed is a field removed and another one added (XC-38); this finds it where the names are alike. It returns
// "; did you mean …?", or "".
func meant(o *configv1.DescribedObject, name string) string {
	wanted := bare(name)
	best, distance := "", maxDistance+1
	for _, f := range o.GetFields() {
		d := apart(wanted, bare(f.GetName()))
		if strings.EqualFold(f.GetLabel(), name) || bare(f.GetLabel()) == wanted {
			d = 0
		}
		if d < distance && d < len(wanted) && f.GetCreateable() {
			best, distance = f.GetName(), d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// bare is a name as people say it: without suffix, namespace, underscores and capitals.
func bare(name string) string {
	name = strings.TrimSuffix(strings.ToLower(name), "__c")
	if _, rest, ok := strings.Cut(name, "__"); ok {
		name = rest
	}
	return strings.NewReplacer("_", "", " ", "").Replace(name)
}

// apart is the Levenshtein distance between two names, which are at most 80 bytes long.
func apart(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
