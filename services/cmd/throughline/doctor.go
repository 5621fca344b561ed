package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

// doctorFlags are the flags of `throughline doctor`.
type doctorFlags struct {
	workspace   string
	connections []string
	lang        string
	last        bool
	asJSON      bool
}

func newDoctor() *cobra.Command {
	var t target
	var f doctorFlags
	cmd := &cobra.Command{
		Use:     "doctor --workspace <id>",
		GroupID: "look",
		Short:   "What is in the way of connections, and where in Salesforce it is changed",
		Long: `Asks the org of each connection, all of the workspace's when none is named, everything that could be in the way: the
authorisation, the API, edition and version, objects and fields, the package, encryption. Each question is asked by itself;
what cannot be found out is said to be so. The connection's state follows from the answers. Exits with an error if anything
that matters is blocked.`,
		Example: `  throughline doctor --workspace acme
  throughline doctor --workspace acme --connection production --lang ja
  throughline doctor --workspace acme --last --json               # what the daily look found`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.lang != "en" && f.lang != "ja" {
				return fmt.Errorf("--lang: %q is not en or ja", f.lang)
			}
			_, conn, err := t.dial()
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			return f.run(cmd.Context(), doctorClients{configv1.NewConfigServiceClient(conn), configv1.NewConnectServiceClient(conn)}, cmd.OutOrStdout())
		},
	}
	t.register(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.workspace, "workspace", "w", "", "the workspace")
	flags.StringArrayVar(&f.connections, "connection", nil, "this `connection` only; may be repeated")
	flags.StringVar(&f.lang, "lang", "en", "language of the findings: en or ja")
	flags.BoolVar(&f.last, "last", false, "show what was found last, and ask nobody")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON object a line")
	if err := cmd.MarkFlagRequired("workspace"); err != nil {
		panic(err)
	}
	return cmd
}

type doctorClients struct {
	config  configv1.ConfigServiceClient
	connect configv1.ConnectServiceClient
}

func (f *doctorFlags) run(ctx context.Context, clients doctorClients, w io.Writer) error {
	connections := f.connections
	if len(connections) == 0 {
		all, err := clients.config.ListConnections(ctx, &configv1.ListConnectionsRequest{Workspace: f.workspace})
		if err != nil {
			return err
		}
		for _, c := range all.GetConnections() {
			connections = append(connections, c.GetId())
		}
	}
	if len(connections) == 0 {
		return fmt.Errorf("workspace %s has no connection; begin with throughline connect", f.workspace)
	}
	var errs []error
	for _, id := range connections {
		d, err := f.diagnose(ctx, clients.connect, id)
		if err != nil {
			errs = append(errs, fmt.Errorf("connection %s: %w", id, err))
			continue
		}
		if f.asJSON {
			err = printAllJSON(w, []*configv1.Diagnosis{d})
		} else {
			err = printDiagnosis(w, d, f.lang)
		}
		errs = append(errs, err, blockers(d))
	}
	return errors.Join(errs...)
}

func (f *doctorFlags) diagnose(ctx context.Context, service configv1.ConnectServiceClient, connection string) (*configv1.Diagnosis, error) {
	if f.last {
		resp, err := service.GetDiagnosis(ctx, &configv1.GetDiagnosisRequest{Workspace: f.workspace, Connection: connection})
		return resp.GetDiagnosis(), err
	}
	resp, err := service.DiagnoseConnection(ctx, &configv1.DiagnoseConnectionRequest{Workspace: f.workspace, Connection: connection})
	return resp.GetDiagnosis(), err
}

// blockers counts what matters and is blocked.
func blockers(d *configv1.Diagnosis) error {
	n := 0
	for _, r := range d.GetResults() {
		if r.GetRequired() && r.GetStatus() == configv1.ProbeStatus_PROBE_STATUS_BLOCKED {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("connection %s of workspace %s is %s: %d in the way", d.GetConnection(), d.GetWorkspace(), stateText(d.GetStatus()), n)
}

// marks are the beginnings of lines. What is blocked and does not matter is only told.
var marks = map[configv1.ProbeStatus]string{
	configv1.ProbeStatus_PROBE_STATUS_OK: "✓ OK", configv1.ProbeStatus_PROBE_STATUS_BLOCKED: "✗ BLOCKED",
	configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK: "? could not check",
}

// textWidth is where lines of a finding are broken.
const textWidth = 60

func printDiagnosis(w io.Writer, d *configv1.Diagnosis, lang string) error {
	t := screen.NewTable(w, "check", "result", "finding", "where in Salesforce").WrapAt(textWidth)
	t.SetTitle("%s: %s, as of %s", d.GetConnection(), stateText(d.GetStatus()), d.GetAt().AsTime().Format("2006-01-02 15:04:05"))
	for _, r := range d.GetResults() {
		texts := r.GetEn()
		if lang == "ja" {
			texts = r.GetJa()
		}
		mark, where := marks[r.GetStatus()], texts.GetWhere()
		if r.GetStatus() == configv1.ProbeStatus_PROBE_STATUS_BLOCKED {
			if r.GetReason() != streamv1.Reason_REASON_UNSPECIFIED {
				mark += " " + strings.TrimPrefix(r.GetReason().String(), "REASON_")
			}
			if !r.GetRequired() {
				mark = strings.Replace(mark, "✗", "!", 1)
			}
		} else {
			where = ""
		}
		t.AppendRow(screen.Row{r.GetProbe(), mark, withDetail(texts.GetFinding(), r.GetDetail()), where})
	}
	t.Render()
	if d.GetPackage() != nil {
		printPackage(w, lang, d.GetPackage())
	}
	printLayouts(w, d.GetLayouts())
	return nil
}
