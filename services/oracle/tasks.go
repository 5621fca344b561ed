package oracle

import "fmt"

// tasks compares to-dos group by group: several visits of one person to one document make several that differ in
// little, so within a group equal ones are paired first, and only what remains is wrong, missing or too much.
func (r *Report) tasks(want *Expectation, have map[string][]*Record) {
	groups := make(map[string][]*Task)
	for i := range want.Tasks {
		t := &want.Tasks[i]
		key := t.key(want.AnyClose)
		groups[key] = append(groups[key], t)
	}
	r.Expected += len(want.Tasks)
	for key, expected := range groups {
		found := have[key]
		delete(have, key)
		r.pair(expected, found, want)
	}
	for _, records := range have {
		for _, record := range records {
			r.extra(fmt.Sprintf("%s Task %s", record.Org, record.text("Subject")))
		}
	}
}

// pair matches the to-dos of one group.
func (r *Report) pair(expected []*Task, found []*Record, want *Expectation) {
	open, found := match(expected, found, func(t *Task, record *Record) bool {
		return len(t.differences(record, want.users[t.Org])) == 0 || want.AnyClose && t.toldLater(record, want.users[t.Org])
	})
	for i, t := range open {
		if i < len(found) {
			r.wrong(t.differences(found[i], want.users[t.Org]))
			continue
		}
		r.missing(fmt.Sprintf("%s Task %s %s", t.Org, t.Viewer, t.ContentID))
	}
	for i := len(open); i < len(found); i++ {
		r.extra(fmt.Sprintf("%s Task %s", found[i].Org, found[i].text("Subject")))
	}
}

// match pairs as many to-dos with records as can be, and returns what is left of both.
func match(expected []*Task, found []*Record, same func(*Task, *Record) bool) (open []*Task, rest []*Record) {
	takenBy := make(map[*Record]*Task, len(found))
	var take func(t *Task, tried map[*Record]bool) bool
	take = func(t *Task, tried map[*Record]bool) bool {
		for _, record := range found {
			if tried[record] || !same(t, record) {
				continue
			}
			tried[record] = true
			if owner := takenBy[record]; owner == nil || take(owner, tried) {
				takenBy[record] = t
				return true
			}
		}
		return false
	}
	for _, t := range expected {
		if !take(t, map[*Record]bool{}) {
			open = append(open, t)
		}
	}
	for _, record := range found {
		if takenBy[record] == nil {
			rest = append(rest, record)
		}
	}
	return open, rest
}

func (t *Task) toldLater(record *Record, user string) bool {
	for i := range t.Later {
		if len(t.Later[i].differences(record, user)) == 0 {
			return true
		}
	}
	return false
}
