package probe

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// The objects that the package brings; a user who sees both has it.
var packageObjects = []string{"Content__c", "Engagement__c"}

// release is a version of the package, told by the fields that it brought.
type release struct {
	version, feature, en, ja string
	fields                   map[string][]string
}

// releases are in order. A package of our own has no version that a user without rights to setup could read, so its fields
// tell (LOOM-7).
var releases = []release{
	{"1.0", "engagements", "what people watch and read, as records beside them", "視聴・閲覧の内容を人物のそばにレコードとして表示", map[string][]string{
		"Engagement__c": {"External_Id__c", "Title__c", "View_Count__c", "Percent_Watched__c", "Last_Viewed_At__c", "Lead__c", "Contact__c"},
		"Content__c":    {"External_Id__c", "Title__c", "Kind__c"},
	}},
	{"1.1", "todo_keys", "to-dos are found again by a key, not by a line in their comments", "ToDo をコメント内の行ではなくキーで特定", map[string][]string{
		"Task": {"Throughline_Key__c"},
	}},
	{"1.2", "calls_to_action", "clicks on calls to action, with the last label and time", "CTA のクリック数と最後のラベル・日時", map[string][]string{
		"Engagement__c": {"CTA_Clicks__c", "Last_CTA_Label__c", "Last_CTA_At__c"},
	}},
}

// Demand is what is demanded of the package.
type Demand struct {
	// MinVersion is the least version, "" for any; InstallURL where it is installed.
	MinVersion, InstallURL string
}

// askPackage looks for the package by what it brings, and fills in the report.
func askPackage(ctx context.Context, shapes *shapes, demand Demand, report *configv1.PackageReport) finding {
	report.RequiredVersion, report.InstallUrl = demand.MinVersion, demand.InstallURL
	for _, object := range packageObjects {
		shape, err := shapes.describe(ctx, object)
		switch {
		case err != nil && hidden(err):
			return blocked(streamv1.Reason_REASON_SF_FIELD_GONE, textPackageMissing, object)
		case err != nil:
			return unchecked(err)
		case !shape.Createable || !shape.Updateable: // LOOM-8: its writes would fail
			return blocked(streamv1.Reason_REASON_SF_NO_PERMISSION, textPackagePermission, object)
		}
	}
	var missing []string
	installed := releases[0].version
	for i, r := range releases {
		lacking, err := r.lacking(ctx, shapes)
		if err != nil {
			return unchecked(err)
		}
		if len(lacking) == 0 {
			if i > 0 && len(missing) == 0 {
				installed = r.version
			}
			continue
		}
		missing = append(missing, lacking...)
		report.Unavailable = append(report.Unavailable, &configv1.UnavailableFeature{
			Feature: r.feature, SinceVersion: r.version, Fields: lacking, En: r.en, Ja: r.ja,
		})
	}
	report.InstalledVersion = installed
	switch {
	case older(installed, demand.MinVersion):
		return blocked(streamv1.Reason_REASON_SF_FIELD_GONE, textPackageTooOld, installed+" < "+demand.MinVersion)
	case len(missing) > 0:
		f := blocked(streamv1.Reason_REASON_SF_FIELD_GONE, textPackageOld, strings.Join(missing, ", "))
		f.optional = true // what needs these fields is refused when it is saved; the rest works
		return f
	}
	return ok(textPackage, installed)
}

// lacking names the fields of a release that the user does not see.
func (r release) lacking(ctx context.Context, shapes *shapes) ([]string, error) {
	var out []string
	for _, object := range slices.Sorted(maps.Keys(r.fields)) {
		shape, err := shapes.describe(ctx, object)
		if err != nil {
			if hidden(err) {
				continue // the question about the object says so
			}
			return nil, err
		}
		out = append(out, Need{Read: r.fields[object]}.missing(shape)...)
	}
	return out, nil
}

// OfPackage reports whether the package brings a field, or with an empty field an object.
func OfPackage(object, field string) bool {
	if field == "" || slices.Contains(packageObjects, object) {
		return slices.Contains(packageObjects, object)
	}
	return slices.ContainsFunc(releases, func(r release) bool { return slices.Contains(r.fields[object], field) })
}

// older compares versions of two numbers. What is no version is older than nothing.
func older(a, b string) bool {
	var majorA, minorA, majorB, minorB int
	if _, err := fmt.Sscanf(b, "%d.%d", &majorB, &minorB); err != nil {
		return false
	}
	if _, err := fmt.Sscanf(a, "%d.%d", &majorA, &minorA); err != nil {
		return true
	}
	return majorA < majorB || majorA == majorB && minorA < minorB
}

// askViewers asks whether anybody but administrators may read what the package holds (LOOM-8). A profile's rights are those of
// a permission set that it owns, so the question is the same for "install for all users" and for a set that was assigned.
// Source: Object Reference, "PermissionSetAssignment" and "ObjectPermissions".
func askViewers(ctx context.Context, org Org, user string) finding {
	if user == "" {
		who, err := org.Identity(ctx)
		if err != nil {
			return unchecked(err)
		}
		user = who.UserID
	}
	const ordinary = "IsActive = true AND %sUserType = 'Standard' AND %sProfile.PermissionsModifyAllData = false"
	some, err := org.Query(ctx, "SELECT Id FROM User WHERE "+fmt.Sprintf(ordinary, "", "")+" AND Id != "+salesforce.Quote(user)+" LIMIT 1")
	switch {
	case err != nil:
		return unchecked(err)
	case len(some) == 0:
		return ok(textNoOrdinaryUsers, "")
	}
	may, err := org.Query(ctx, "SELECT Id FROM PermissionSetAssignment WHERE Assignee."+fmt.Sprintf(ordinary, "Assignee.", "Assignee.")+
		" AND AssigneeId != "+salesforce.Quote(user)+" AND PermissionSetId IN (SELECT ParentId FROM ObjectPermissions "+
		"WHERE SobjectType = 'Engagement__c' AND PermissionsRead = true) LIMIT 1")
	switch {
	case err != nil:
		return unchecked(err)
	case len(may) == 0:
		return blocked(streamv1.Reason_REASON_SF_NO_PERMISSION, textNoViewers, "Engagement Viewer")
	}
	return ok(textViewers, "")
}
