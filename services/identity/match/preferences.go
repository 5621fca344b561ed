package match

// Preferences is what somebody told Salesforce about their data (XC-32).
type Preferences struct {
	// OptedOutTracking, OptedOutProcessing and ShouldForget are the fields of the same names, of the privacy record (Individual).
	OptedOutTracking, OptedOutProcessing, ShouldForget bool
}

// Any reports whether anything is said.
func (p Preferences) Any() bool { return p.OptedOutTracking || p.OptedOutProcessing || p.ShouldForget }

// Strictest returns what the candidates, who all have one person's address, say together: the stricter wins, also of those that
// are not chosen. By is the one who says so, of ShouldForget if somebody says that; nil when nobody says anything.
func Strictest(candidates []Candidate) (all Preferences, by *Candidate) {
	for i := range candidates {
		c := &candidates[i]
		if !c.Preferences.Any() {
			continue
		}
		if by == nil || c.Preferences.ShouldForget && !all.ShouldForget {
			by = c
		}
		all.OptedOutTracking = all.OptedOutTracking || c.Preferences.OptedOutTracking
		all.OptedOutProcessing = all.OptedOutProcessing || c.Preferences.OptedOutProcessing
		all.ShouldForget = all.ShouldForget || c.Preferences.ShouldForget
	}
	return all, by
}
