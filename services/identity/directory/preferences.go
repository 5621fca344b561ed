package directory

import (
	"context"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/identity/match"
)

// XC-32: a Lead and a Contact may have a privacy record, by IndividualId, if the org has Data Protection and Privacy on. In an org
// that has not, or that hides the fields from us, a query that names one is refused with INVALID_FIELD, so none is named there.
const (
	individualObject = "Individual"
	fieldIndividual  = "IndividualId"
	fieldTracking    = "HasOptedOutTracking"
	fieldProcessing  = "HasOptedOutProcessing"
	fieldForget      = "ShouldForget"
)

// describePreferences returns, by object, which fields of privacy records can be read through it.
func describePreferences(ctx context.Context, org Org, contact *salesforce.ObjectDescribe) (map[string][]string, error) {
	if _, ok := contact.Field(fieldIndividual); !ok {
		return nil, nil // the feature is off: it comes with this field
	}
	individual, err := describe(ctx, org, individualObject)
	if err != nil || !individual.Queryable {
		return nil, err
	}
	var paths []string
	for _, name := range []string{fieldTracking, fieldProcessing, fieldForget} {
		if _, ok := individual.Field(name); ok {
			paths = append(paths, individualObject+"."+name)
		}
	}
	lead, err := describe(ctx, org, match.Lead)
	if err != nil {
		return nil, err
	}
	found := map[string][]string{match.Contact: paths}
	if _, ok := lead.Field(fieldIndividual); ok {
		found[match.Lead] = paths
	}
	return found, nil
}

// preferenceFields returns what is read of an object's privacy records.
func (r *round) preferenceFields(object string) []string {
	if !r.how.Preferences {
		return nil
	}
	return r.persons.preferences[object]
}

// preferences reads them; a record without a privacy record says nothing.
func preferences(rec salesforce.Record) match.Preferences {
	return match.Preferences{
		OptedOutTracking:   rec.Bool(individualObject + "." + fieldTracking),
		OptedOutProcessing: rec.Bool(individualObject + "." + fieldProcessing),
		ShouldForget:       rec.Bool(individualObject + "." + fieldForget),
	}
}
