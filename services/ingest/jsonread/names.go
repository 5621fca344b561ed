package jsonread

// manyNames is from where on comparing a name with every earlier one costs more than a map.
const manyNames = 24

// names remembers the names of one object: those from start on in Reader.names, or a set once they are many. That keeps
// an object of a thousand names from costing a million comparisons.
type names struct {
	start int
	set   map[string]struct{}
}

// remember reports whether the name is new to the object.
func (r *Reader) remember(seen *names, name string) bool {
	if seen.set != nil {
		if _, twice := seen.set[name]; twice {
			return false
		}
		seen.set[name] = struct{}{}
		return true
	}
	earlier := r.names[seen.start:]
	for _, n := range earlier {
		if n == name {
			return false
		}
	}
	if len(earlier) < manyNames {
		r.names = append(r.names, name)
		return true
	}
	seen.set = make(map[string]struct{}, 2*manyNames)
	for _, n := range earlier {
		seen.set[n] = struct{}{}
	}
	seen.set[name] = struct{}{}
	return true
}
