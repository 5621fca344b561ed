package probe

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// Subject is the connection that is asked about.
type Subject struct {
	Connection *configv1.Connection
	// Needs is what its integrations do.
	Needs Needs
	// Editions are allowed, as Organization.OrganizationType names them; none: all of them.
	Editions []string
	// Sandboxes of every edition are allowed.
	Sandboxes bool
	// FullAccess: the user must hold Modify All Data (WALK-3, ZOOM-2).
	FullAccess bool
	// TasksNeeded: the source product makes to-dos, whether or not an integration does yet (IMM-2).
	TasksNeeded bool
	// MatchFields are the fields by which people are found, by object; they must be filterable (ZOOM-4).
	MatchFields map[string][]string
	// SameAddress reports whether the address is the one that the user had when the org was connected; nil where that does not
	// matter (ZOOM-3).
	SameAddress func(address string) bool
	// Package is what is demanded of the package, if the connection needs one.
	Package Demand
}

// Report is what was found.
type Report struct {
	// Results are the answers, in the order in which they should be mended.
	Results []*configv1.ProbeResult
	// Package and Layouts are nil when no package is needed; Layouts also when they could not be read.
	Package *configv1.PackageReport
	Layouts []*configv1.LayoutCheck
}

// Run asks an org everything.
func Run(ctx context.Context, cfg Config, org Org, s Subject) Report {
	shapes := &shapes{org: org}
	questions := []question{
		{API, true, func(ctx context.Context) finding { return askAPI(ctx, org) }},
		{Version, true, func(ctx context.Context) finding { return askVersion(ctx, org, s.Connection.GetApiVersion()) }},
		{Edition, true, func(ctx context.Context) finding { return askEdition(ctx, org, s) }},
		{Environment, true, func(ctx context.Context) finding { return askEnvironment(ctx, org, s.Connection) }},
	}
	if s.FullAccess {
		questions = append(questions, question{FullAccess, true, func(ctx context.Context) finding { return askFullAccess(ctx, org) }})
	}
	if s.SameAddress != nil {
		questions = append(questions, question{Address, false, func(ctx context.Context) finding { return askAddress(ctx, org, s.SameAddress) }})
	}
	questions = append(questions, s.objectQuestions(shapes)...)
	questions = append(questions, question{Encryption, len(s.MatchFields) > 0, func(ctx context.Context) finding {
		return askEncryption(ctx, shapes, s.MatchFields)
	}})
	var report Report
	if !s.Connection.GetSettings().GetNeedsPackage() {
		questions = append(questions, question{Package, false, func(context.Context) finding { return ok(textPackageNotNeeded, "") }})
		report.Results = ask(ctx, cfg, questions)
		return report
	}
	report.Package = &configv1.PackageReport{}
	questions = append(questions,
		question{Package, true, func(ctx context.Context) finding { return askPackage(ctx, shapes, s.Package, report.Package) }},
		question{Viewers, false, func(ctx context.Context) finding { return askViewers(ctx, org, s.Connection.GetConsent().GetUserId()) }},
		question{Layouts, false, func(ctx context.Context) finding { return askLayouts(ctx, org, &report.Layouts) }},
	)
	report.Results = ask(ctx, cfg, questions)
	return report
}

// askAPI reads something harmless. A session that was issued just now and is refused here was not ended: if the identity
// service takes it, the org lets the app in and not the API, and if that refuses it too, it is our address that is not
// welcome (LOOM-11). Source: Salesforce Help, "Manage API Access with API Access Control".
func askAPI(ctx context.Context, org Org) finding {
	_, err := org.Organization(ctx)
	var e *salesforce.Error
	switch {
	case err == nil:
		return ok(textAPI, "")
	case !errors.As(err, &e), e.Code == "UNSUPPORTED_API_VERSION": // the next question says so
		return unchecked(err)
	case e.Code == "API_DISABLED_FOR_ORG" || e.Reason == salesforce.ReasonAPIDisabled:
		return blocked(streamv1.Reason_REASON_SF_API_DISABLED, textAPIDisabled, e.Code)
	case e.Reason == salesforce.ReasonAppBlocked:
		return blocked(streamv1.Reason_REASON_SF_APP_BLOCKED, textAppBlocked, e.Code)
	case e.Reason == salesforce.ReasonIPRestricted:
		return blocked(streamv1.Reason_REASON_SF_IP_RESTRICTED, textIP, e.Code)
	case e.Class != salesforce.ClassAuth:
		return unchecked(err)
	}
	if _, err := org.Identity(ctx); err == nil {
		return blocked(streamv1.Reason_REASON_SF_APP_BLOCKED, textAppBlocked, e.Code)
	} else if salesforce.ClassOf(err) == salesforce.ClassTransient {
		return unchecked(err)
	}
	return blocked(streamv1.Reason_REASON_SF_IP_RESTRICTED, textIP, e.Code)
}

func askVersion(ctx context.Context, org Who, version string) finding {
	err := org.CheckVersion(ctx)
	switch {
	case err == nil:
		return ok(textVersion, version)
	case salesforce.ClassOf(err) == salesforce.ClassConfig:
		return blocked(streamv1.Reason_REASON_SF_API_DISABLED, textVersionGone, version)
	}
	return unchecked(err)
}

func askEdition(ctx context.Context, org Who, s Subject) finding {
	o, err := org.Organization(ctx)
	switch {
	case err != nil:
		return unchecked(err)
	case len(s.Editions) == 0 || slices.Contains(s.Editions, o.Edition) || o.Sandbox && s.Sandboxes:
		return ok(textEdition, o.Edition)
	}
	return blocked(streamv1.Reason_REASON_SF_EDITION_UNSUPPORTED, textEditionUnsupported, o.Edition)
}

// askEnvironment compares the box with the org (IMM-9).
func askEnvironment(ctx context.Context, org Who, c *configv1.Connection) finding {
	o, err := org.Organization(ctx)
	if err != nil {
		return unchecked(err)
	}
	found := configv1.Environment_ENVIRONMENT_PRODUCTION
	if o.Sandbox {
		found = configv1.Environment_ENVIRONMENT_SANDBOX
	}
	name := strings.ToLower(strings.TrimPrefix(found.String(), "ENVIRONMENT_"))
	if want := c.GetSettings().GetEnvironment(); want != configv1.Environment_ENVIRONMENT_UNSPECIFIED && want != found {
		return blocked(streamv1.Reason_REASON_SF_AUTH_REVOKED, textEnvironmentMismatch, name)
	}
	return ok(textEnvironment, name)
}

// askAddress looks whether the user still has the address of the phone account's administrator. It keeps nothing from working,
// and names no address.
func askAddress(ctx context.Context, org Who, same func(address string) bool) finding {
	who, err := org.Identity(ctx)
	switch {
	case err != nil:
		return unchecked(err)
	case same(who.Email):
		return ok(textAddress, "")
	}
	return blocked(streamv1.Reason_REASON_UNSPECIFIED, textAddressChanged, "")
}

// askFullAccess asks for Modify All Data. Source: Object Reference, "UserPermissionAccess".
func askFullAccess(ctx context.Context, org Asker) finding {
	const permission = "PermissionsModifyAllData"
	rows, err := org.Query(ctx, "SELECT "+permission+" FROM UserPermissionAccess LIMIT 1")
	switch {
	case err != nil || len(rows) == 0:
		return unchecked(err)
	case rows[0].Bool(permission):
		return ok(textFullAccess, permission)
	}
	return blocked(streamv1.Reason_REASON_SF_NO_PERMISSION, textNoFullAccess, permission)
}
