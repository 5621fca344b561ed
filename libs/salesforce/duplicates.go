package salesforce

import "encoding/json"

// CodeDuplicates is the code of a record to which a duplicate rule objects.
const CodeDuplicates = "DUPLICATES_DETECTED"

// headerDuplicateRule says how duplicate rules apply to a request.
const headerDuplicateRule = "Sforce-Duplicate-Rule-Header"

// duplicateResult is what a duplicate rule found. Salesforce names it for single records only, not within collections, and
// has spelled the key both ways. Source: REST API Developer Guide, "Duplicate Rule Header".
type duplicateResult struct {
	MatchResults []struct {
		MatchRecords []struct {
			Record struct {
				ID string `json:"Id"`
			} `json:"record"`
		} `json:"matchRecords"`
	} `json:"matchResults"`
}

// duplicateIDs reads the ids of the existing records out of an error answer's body; nil when it names none.
func duplicateIDs(body []byte) []string {
	var wire []struct {
		Misspelled *duplicateResult `json:"duplicateResut"`
		Spelled    *duplicateResult `json:"duplicateResult"`
	}
	if json.Unmarshal(body, &wire) != nil {
		return nil
	}
	var ids []string
	for _, e := range wire {
		for _, found := range []*duplicateResult{e.Misspelled, e.Spelled} {
			if found == nil {
				continue
			}
			for _, match := range found.MatchResults {
				for _, record := range match.MatchRecords {
					if id, err := ID(record.Record.ID, ""); err == nil {
						ids = append(ids, id)
					}
				}
			}
		}
	}
	return ids
}
