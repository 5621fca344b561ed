package schema

// The record types of accounts in an org with person accounts.
const (
	BusinessRecordType = "0125TA000000001QBA"
	PersonRecordType   = "0125TA000000002QBA"
)

// Persons returns what person accounts add to the declarations of Account, Contact and RecordType.
func Persons() (Spec, error) { return load("persons.yaml") }

// Individuals returns what Data Protection and Privacy adds: the privacy records of people, and where Leads and Contacts have
// theirs.
func Individuals() (Spec, error) { return load("individuals.yaml") }

// recordTypes are those that a new record of o may have besides the master type.
func recordTypes(o *Object, path string) []RecordTypeInfo {
	if _, ok := o.Field("IsPersonAccount"); !ok || o.Name != "Account" {
		return nil
	}
	info := func(id, developerName, name string) RecordTypeInfo {
		return RecordTypeInfo{
			Active: true, Available: true, DeveloperName: developerName, Name: name, RecordTypeID: id,
			URLs: map[string]string{"layout": path + "/sobjects/" + o.Name + "/describe/layouts/" + id},
		}
	}
	business := info(BusinessRecordType, "Business_Account", "Business Account")
	business.DefaultRecordTypeMapping = true
	return []RecordTypeInfo{business, info(PersonRecordType, "PersonAccount", "Person Account")}
}
