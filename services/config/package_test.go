package config_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/simulator"
)

// packaged is an org with the package, installed for everybody unless a test says otherwise.
func packaged(o *simulator.Org) { o.Package = true }

// withSeller adds an ordinary user whose profile cannot read what the package holds, with permission sets.
func withSeller(sets ...string) func(*simulator.Scenario) {
	return withLimits(func(o *simulator.Org) {
		o.Package = true
		o.Profiles = append(o.Profiles, simulator.Profile{
			Name: "Sales", NoModifyAll: true, Objects: map[string][]string{"Engagement__c": {}, "Content__c": {}},
		})
		o.Users = append(o.Users, simulator.User{Username: "seller@acme.example", LastName: "Seller", Profile: "Sales", PermissionSets: sets})
	})
}

func needing(version string) func(*configv1.ConnectOptions) {
	return demanding("loom", func(s *configv1.ConnectSettings) { s.NeedsPackage, s.PackageVersion = true, version })
}

func (b *testBundle) connected(t *testing.T, sim *theSimulator, change ...func(*configv1.ConnectOptions)) {
	t.Helper()
	page := b.browser(t).connect(b.startConnect(t, options(sim.login("acme"), change...)).GetLink())
	require.Equal(t, http.StatusOK, page.code, page.text)
}

// TestThePackageIsLookedForUntilItIsThere: nobody has to come back and press anything.
func TestThePackageIsLookedForUntilItIsThere(t *testing.T) {
	t.Attr("requirement", "LOOM-7")
	t.Parallel()
	b := prepareCatalogue(t)
	b.cfg.Connect.Diagnosis.Tick = 5 * time.Millisecond
	b.cfg.Connect.Diagnosis.Package.ProductionURL = "https://login.salesforce.com/packaging/installPackage.apexp?p0=04tA"
	b.cfg.Connect.Diagnosis.Package.SandboxURL = "https://test.salesforce.com/packaging/installPackage.apexp?p0=04tA"
	b.start(t)
	b.live.install(t, "")
	b.connect(t, "acme")
	got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	c := got.GetConnection()
	c.Settings = &configv1.ConnectSettings{NeedsPackage: true, PackageVersion: "1.1"}
	_, err = b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: c})
	require.NoError(t, err)
	// becomes waits for a look of this very moment that found the state and the version.
	becomes := func(state configv1.ConnectionState, installed string) *configv1.Diagnosis {
		t.Helper()
		var d *configv1.Diagnosis
		require.Eventually(t, func() bool {
			resp, err := b.connects(t, acmeViewer).GetDiagnosis(t.Context(), &configv1.GetDiagnosisRequest{Workspace: "acme", Connection: "main"})
			d = resp.GetDiagnosis()
			return err == nil && d.GetAt().AsTime().Equal(b.clock.Now()) && d.GetStatus().GetState() == state && d.GetPackage().GetInstalledVersion() == installed
		}, time.Minute, 5*time.Millisecond, "%s", d)
		return d
	}
	// A look that was under way knows nothing of the new demand.
	require.Eventually(t, func() bool { return b.diagnosis(t).GetStatus().GetState() == noPackage }, time.Minute, 5*time.Millisecond)
	d := becomes(noPackage, "")
	require.Equal(t, "https://login.salesforce.com/packaging/installPackage.apexp?p0=04tA", d.GetPackage().GetInstallUrl())
	require.Empty(t, d.GetPackage().GetInstalledVersion())
	b.clock.Advance(b.cfg.Connect.Diagnosis.RecheckMin)
	becomes(noPackage, "") // returning without having installed it changes nothing

	b.live.install(t, "1.0")
	b.clock.Advance(b.cfg.Connect.Diagnosis.RecheckMin * 2)
	require.Contains(t, probeOf(t, becomes(noPackage, "1.0"), "package").GetEn().GetFinding(), "older than the version")

	b.live.install(t, "1.1")
	b.clock.Advance(b.cfg.Connect.Diagnosis.RecheckMin * 4)
	d = becomes(ready, "1.1")
	require.Equal(t, "1.1", d.GetPackage().GetInstalledVersion())
	require.Equal(t, "calls_to_action", d.GetPackage().GetUnavailable()[0].GetFeature(), "too old for one thing, and said so")

	b.live.install(t, "")
	b.clock.Advance(27 * time.Hour)
	becomes(noPackage, "") // uninstalled
}

func TestAnOlderPackageIsNotEnoughForWhoNeedsANewerOne(t *testing.T) {
	t.Attr("requirement", "LOOM-7")
	t.Parallel()
	b := connectable(t, func(b *testBundle) {
		b.cfg.Connect.Diagnosis.Package.SandboxURL = "https://test.salesforce.com/packaging/installPackage.apexp?p0=04tA"
	})
	sim := newSimulator(t, b, withLimits(func(o *simulator.Org) { o.Package, o.PackageVersion, o.Sandbox = true, "1.1", true }))
	b.connected(t, sim, needing("1.2"))
	require.Equal(t, noPackage, b.status(t).GetState())
	d := b.diagnosis(t)
	require.Equal(t, "1.1", d.GetPackage().GetInstalledVersion())
	require.Equal(t, "1.2", d.GetPackage().GetRequiredVersion())
	require.Equal(t, "https://test.salesforce.com/packaging/installPackage.apexp?p0=04tA", d.GetPackage().GetInstallUrl(), "that of sandboxes")
}

func TestWhetherOrdinaryUsersSeeTheData(t *testing.T) {
	t.Attr("requirement", "LOOM-8")
	t.Parallel()
	for name, c := range map[string]struct {
		org    func(*simulator.Scenario)
		status configv1.ProbeStatus
	}{
		"ForAdministratorsOnly": {withSeller(), configv1.ProbeStatus_PROBE_STATUS_BLOCKED},
		"WithTheSet":            {withSeller("Engagement_Viewer"), configv1.ProbeStatus_PROBE_STATUS_OK},
		"NobodyElse":            {withLimits(packaged), configv1.ProbeStatus_PROBE_STATUS_OK},
		"ForAllUsers": {withLimits(func(o *simulator.Org) {
			o.Package, o.Profiles = true, []simulator.Profile{{Name: "Sales", NoModifyAll: true}}
			o.Users = append(o.Users, simulator.User{Username: "seller@acme.example", LastName: "Seller", Profile: "Sales"})
		}), configv1.ProbeStatus_PROBE_STATUS_OK},
		"OnlyTheIntegrationUser": {withLimits(func(o *simulator.Org) {
			o.Package = true
			o.Profiles = []simulator.Profile{{Name: "Sales", NoModifyAll: true, Objects: map[string][]string{"Engagement__c": {}, "Content__c": {}}}}
			o.Users[0].Profile, o.Users[0].PermissionSets = "Sales", []string{"Engagement_Integration"}
			o.Users = append(o.Users, simulator.User{Username: "seller@acme.example", LastName: "Seller", Profile: "Sales"})
		}), configv1.ProbeStatus_PROBE_STATUS_BLOCKED},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connectable(t)
			sim := newSimulator(t, b, c.org)
			b.connected(t, sim, needing(""))
			require.Equal(t, ready, b.status(t).GetState(), "it keeps no write out")
			r := probeOf(t, b.diagnosis(t), "package_viewers")
			require.Equal(t, c.status, r.GetStatus(), r)
			if c.status == configv1.ProbeStatus_PROBE_STATUS_BLOCKED {
				require.Contains(t, r.GetEn().GetFinding(), "Engagement Viewer", "the set to assign")
				require.Contains(t, r.GetJa().GetFinding(), "Engagement Viewer")
			}
		})
	}
}

// TestTheIntegrationUserNeedsItsSet: writes would fail, and that is known before the first one.
func TestTheIntegrationUserNeedsItsSet(t *testing.T) {
	t.Attr("requirement", "LOOM-8")
	t.Parallel()
	for name, c := range map[string]struct {
		sets  []string
		state configv1.ConnectionState
		says  string
	}{
		"Viewer":      {[]string{"Engagement_Viewer"}, degraded, "Engagement Integration"},
		"Integration": {[]string{"Engagement_Integration"}, ready, "installed"},
		"Neither":     {nil, noPackage, "not for this user"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connectable(t)
			sim := newSimulator(t, b, withSeller(), withLimits(func(o *simulator.Org) {
				o.Users[0].Profile, o.Users[0].PermissionSets = "Sales", c.sets
			}))
			b.connected(t, sim, needing(""))
			require.Equal(t, c.state, b.status(t).GetState())
			require.Contains(t, probeOf(t, b.diagnosis(t), "package").GetEn().GetFinding(), c.says)
		})
	}
}

func TestLayoutsInUseAreReadBack(t *testing.T) {
	t.Attr("requirement", "LOOM-9")
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*simulator.Org)
		shows  map[string]bool
		status configv1.ProbeStatus
	}{
		"Everywhere": {func(o *simulator.Org) {
			o.Layouts = []simulator.Layout{
				{Object: "Contact", Name: "Contact Layout", RelatedLists: []string{"Engagement__c.Contact__c"}},
				{Object: "Lead", Name: "Lead Layout", RelatedLists: []string{"RelatedNoteList", "Engagement__c.Lead__c"}},
			}
		}, map[string]bool{"Contact/Contact Layout": true, "Lead/Lead Layout": true}, configv1.ProbeStatus_PROBE_STATUS_OK},
		"NotOnEachOne": {func(o *simulator.Org) {
			o.Profiles = append(o.Profiles, simulator.Profile{Name: "Marketing"})
			o.Layouts = []simulator.Layout{
				{Object: "Contact", Name: "Contact Layout", RelatedLists: []string{"Engagement__c.Contact__c"}},
				{Object: "Contact", Name: "Marketing Layout", Profiles: []string{"Marketing"}},
				{Object: "Contact", Name: "Nobody's Layout", Unassigned: true},
			}
		}, map[string]bool{"Contact/Contact Layout": true, "Contact/Marketing Layout": false, "Lead/Lead Layout": false}, configv1.ProbeStatus_PROBE_STATUS_BLOCKED},
		"NotForUsToRead": {func(o *simulator.Org) {
			o.Profiles, o.Users[0].Profile = []simulator.Profile{{Name: "Blind", NoViewSetup: true}}, "Blind"
		}, map[string]bool{}, configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connectable(t)
			sim := newSimulator(t, b, withLimits(packaged), withLimits(c.change))
			b.connected(t, sim, needing(""))
			d := b.diagnosis(t)
			require.Equal(t, c.status, probeOf(t, d, "package_layouts").GetStatus())
			require.Equal(t, ready, d.GetStatus().GetState(), "it keeps no write out")
			shows := map[string]bool{}
			for _, l := range d.GetLayouts() {
				shows[l.GetObject()+"/"+l.GetLayout()] = l.GetPresent()
			}
			require.Equal(t, c.shows, shows)
		})
	}
}
