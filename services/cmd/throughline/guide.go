package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

// guideRequest is which guide, and how to print it.
type guideRequest struct {
	workspace, lang string
	asJSON          bool
}

func (r guideRequest) check() error {
	if r.lang != "en" && r.lang != "ja" {
		return fmt.Errorf("--lang: %q is not en or ja", r.lang)
	}
	return nil
}

func (r guideRequest) text(t *configv1.GuideText) string {
	if r.lang == "ja" {
		return t.GetJa()
	}
	return t.GetEn()
}

// printAppGuides prints how an app is registered.
func printAppGuides(ctx context.Context, t *target, r guideRequest, w io.Writer) error {
	if err := r.check(); err != nil {
		return err
	}
	_, conn, err := t.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	resp, err := configv1.NewSetupServiceClient(conn).GetAppGuide(ctx, &configv1.GetAppGuideRequest{Workspace: r.workspace})
	if err != nil {
		return err
	}
	if r.asJSON {
		return printAllJSON(w, resp.GetGuides())
	}
	for _, g := range resp.GetGuides() {
		fmt.Fprintf(w, "%s\n%s\n", r.text(g.GetAbout()), r.text(g.GetWhere()))
		tw := screen.NewTable(w, "field", "value", "note").WrapAt(textWidth)
		for _, f := range g.GetFields() {
			tw.AppendRow(screen.Row{r.text(f.GetLabel()), strings.Join(f.GetValues(), ", "), r.text(f.GetNote())})
		}
		tw.Render()
		for n, step := range g.GetAfter() {
			fmt.Fprintf(w, "%d. %s\n", n+1, r.text(step))
		}
		fmt.Fprintln(w)
	}
	return nil
}

func newSetup() *cobra.Command {
	var t target
	r := guideRequest{}
	cmd := &cobra.Command{
		Use:     "setup --workspace <id> <connection>",
		GroupID: "look",
		Short:   "What is left to do in a connection's org: package, users, policies, addresses",
		Long: `Prints where the package is installed and which version there is, whether ordinary users and page layouts show the data, the
three policies that the app needs, each confirmed, contradicted or unknown, and the networks that calls come from. It asks no org:
the answers are those of the last look; throughline doctor looks again.`,
		Example: `  throughline setup --workspace acme production
  throughline setup --workspace acme production --lang ja
  throughline setup --workspace acme production --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := r.check(); err != nil {
				return err
			}
			_, conn, err := t.dial()
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			g, err := configv1.NewSetupServiceClient(conn).GetSetupGuide(cmd.Context(), &configv1.GetSetupGuideRequest{
				Workspace: r.workspace, Connection: args[0],
			})
			if err != nil {
				return err
			}
			if r.asJSON {
				return printJSON(cmd.OutOrStdout(), g)
			}
			printSetup(cmd.OutOrStdout(), r, args[0], g)
			return nil
		},
	}
	t.register(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&r.workspace, "workspace", "w", "", "the workspace")
	flags.StringVar(&r.lang, "lang", "en", "language of the texts: en or ja")
	flags.BoolVar(&r.asJSON, "json", false, "print one JSON object")
	if err := cmd.MarkFlagRequired("workspace"); err != nil {
		panic(err)
	}
	return cmd
}

// standing is a policy's mark.
var standing = map[configv1.ProbeStatus]string{
	configv1.ProbeStatus_PROBE_STATUS_OK: "✓ confirmed", configv1.ProbeStatus_PROBE_STATUS_BLOCKED: "✗ contradicted",
	configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK: "? unknown",
}

func printSetup(w io.Writer, r guideRequest, connection string, g *configv1.GetSetupGuideResponse) {
	asked := "never looked at"
	if g.GetAskedAt() != nil {
		asked = "as of " + g.GetAskedAt().AsTime().Format("2006-01-02 15:04:05")
	}
	fmt.Fprintf(w, "%s: %s, %s\n\n", connection, stateText(g.GetStatus()), asked)
	if g.GetPackage() != nil {
		printPackage(w, r.lang, g.GetPackage())
	}
	t := screen.NewTable(w, "policy of the app", "", "where in Salesforce").WrapAt(textWidth)
	for _, p := range g.GetPolicies() {
		texts := p.GetEn()
		if r.lang == "ja" {
			texts = p.GetJa()
		}
		t.AppendRow(screen.Row{texts.GetFinding(), standing[p.GetStatus()], texts.GetWhere()})
	}
	t.Render()
	if len(g.GetFindings()) > 0 {
		t := screen.NewTable(w, "to be mended", "finding", "where in Salesforce").WrapAt(textWidth)
		for _, f := range g.GetFindings() {
			texts := f.GetEn()
			if r.lang == "ja" {
				texts = f.GetJa()
			}
			t.AppendRow(screen.Row{f.GetProbe(), withDetail(texts.GetFinding(), f.GetDetail()), texts.GetWhere()})
		}
		t.Render()
	}
	printLayouts(w, g.GetLayouts())
	if networks := g.GetOutgoing().GetNetworks(); len(networks) > 0 {
		fmt.Fprintf(w, "calls come from %s; allow them at %s\n", strings.Join(networks, ", "), r.text(g.GetOutgoing().GetWhere()))
	}
	for _, c := range g.GetOutgoing().GetAnnounced() {
		fmt.Fprintf(w, "from %s on they come from %s as well; allow it in time\n", c.GetFrom().AsTime().Format(time.RFC3339), c.GetNetwork())
	}
}

func printPackage(w io.Writer, lang string, p *configv1.PackageReport) {
	installed := p.GetInstalledVersion()
	if installed == "" {
		installed = "not found"
	}
	fmt.Fprintf(w, "package: %s; %s or later is needed\n", installed, p.GetRequiredVersion())
	if p.GetInstallUrl() != "" {
		fmt.Fprintf(w, "install or upgrade it at %s\n", p.GetInstallUrl())
	}
	for _, f := range p.GetUnavailable() {
		what := f.GetEn()
		if lang == "ja" {
			what = f.GetJa()
		}
		fmt.Fprintf(w, "not available before version %s: %s (%s)\n", f.GetSinceVersion(), what, strings.Join(f.GetFields(), ", "))
	}
}

func printLayouts(w io.Writer, layouts []*configv1.LayoutCheck) {
	if len(layouts) == 0 {
		return
	}
	t := screen.NewTable(w, "layout", "shows “Videos”")
	for _, l := range layouts {
		t.AppendRow(screen.Row{l.GetObject() + ": " + l.GetLayout(), mark(l.GetPresent())})
	}
	t.Render()
}

func withDetail(finding, detail string) string {
	if detail == "" {
		return finding
	}
	return finding + " (" + detail + ")"
}
