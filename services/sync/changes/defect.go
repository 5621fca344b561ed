package changes

import "github.com/throughline-dev/throughline/libs/stage"

// defects are those that were logged, by what they are the trouble of: each is said once, for it stays until the program is mended.
type defects map[[2]string]struct{}

// isNew notes a defect, and reports whether it was not known.
func (d *defects) isNew(about string, err error) bool {
	if *d == nil {
		*d = defects{}
	}
	k := [2]string{about, stage.DefectPlace(err)}
	_, known := (*d)[k]
	(*d)[k] = struct{}{}
	return !known
}
