package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"

	"github.com/spf13/cobra"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/apply"
)

func newApply() *cobra.Command {
	var t target
	var files []string
	var opts apply.Options
	var why string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "apply -f <file>...",
		GroupID: "look",
		Short:   "Save workspaces, connections, integrations and switches from YAML or JSON",
		Long: `Compares each document with what is saved and saves what differs. Applying the same file twice changes nothing.

${NAME} in a file is replaced by the environment variable, so that secrets need not be written down; one that is not set is an
error. Documents are told apart by kind: Workspace, Connection, Integration, ContentSetting, ApiKey, ContentDefaults, EventSetup, Report,
ReportPush; or name a recipe. See docs/recipes.md, docs/integrations.md, docs/settings.md and docs/reports.md.`,
		Example: `  throughline apply -f acme.yaml
  throughline apply -f acme.yaml --dry-run
  throughline apply -f key.yaml --json | jq -r .secret   # a new API key, for a program
  SALESFORCE_SECRET=… throughline apply -f - < acme.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			docs, err := readDocuments(cmd.InOrStdin(), files)
			if err != nil {
				return err
			}
			_, conn, err := t.dial()
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			opts.Reports = configv1.NewReportServiceClient(conn)
			opts.Check = func(ctx context.Context, i *configv1.Integration) (*configv1.ValidateIntegrationResponse, error) {
				return configv1.NewCatalogueServiceClient(conn).ValidateIntegration(ctx, &configv1.ValidateIntegrationRequest{Integration: i})
			}
			opts.Defaults, opts.Events = configv1.NewContentDefaultsServiceClient(conn), configv1.NewEventSetupServiceClient(conn)
			report, err := apply.Run(because(cmd.Context(), why), configv1.NewConfigServiceClient(conn), docs, opts)
			if asJSON {
				return errors.Join(report.WriteJSON(cmd.OutOrStdout()), err)
			}
			return errors.Join(report.Write(cmd.OutOrStdout()), err)
		},
	}
	t.register(cmd)
	cmd.Flags().StringArrayVarP(&files, "file", "f", nil, "`file` with documents separated by ---, or - for standard input; may be repeated")
	cmd.Flags().StringVar(&why, "why", "", "why, for the history and the audit log")
	cmd.Flags().BoolVar(&opts.DryRun, "dry-run", false, "only show what would change, and what would be refused")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line, for each document")
	if err := cmd.MarkFlagRequired("file"); err != nil {
		panic(err)
	}
	return cmd
}

// maxSettingsFile is far more than anybody writes by hand.
const maxSettingsFile = 16 << 20

func readDocuments(stdin io.Reader, files []string) ([]apply.Document, error) {
	var docs []apply.Document
	for _, name := range files {
		data, err := readSettings(stdin, name)
		if err != nil {
			return nil, err
		}
		if data, err = expandEnv(name, data); err != nil {
			return nil, err
		}
		parsed, err := apply.Parse(name, data)
		if err != nil {
			return nil, err
		}
		docs = append(docs, parsed...)
	}
	return docs, nil
}

func readSettings(stdin io.Reader, name string) ([]byte, error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxSettingsFile+1))
	if err == nil && len(data) > maxSettingsFile {
		err = fmt.Errorf("%s is larger than %d MiB", name, maxSettingsFile>>20)
	}
	return data, err
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expandEnv replaces ${NAME} by the environment variable. A bare $ stays: templates and CEL may use it.
func expandEnv(name string, data []byte) ([]byte, error) {
	var errs []error
	out := variable.ReplaceAllFunc(data, func(match []byte) []byte {
		key := string(match[2 : len(match)-1])
		value, ok := os.LookupEnv(key)
		if !ok {
			errs = append(errs, fmt.Errorf("%s: the environment variable %s is not set", name, key))
		}
		return []byte(value)
	})
	return out, errors.Join(errs...)
}
