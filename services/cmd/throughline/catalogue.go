package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

// catalogueFlags are what the commands about orgs' objects share.
type catalogueFlags struct {
	target
	workspace, connection string
	asJSON                bool
}

func newCatalogue() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "catalogue",
		Aliases: []string{"catalog"},
		GroupID: "look",
		Short:   "What orgs have to offer, and whether integrations fit them",
		Long: `Shows the objects and fields of a connection's org as the integration user may see them, checks integrations against
them without saving, and lists the saved ones that the org has outgrown: a field was deleted or made required, a picklist value
was retired, a right was taken away.`,
		Example: `  throughline catalogue objects --workspace acme --connection production --search task
  throughline catalogue describe --workspace acme --connection production Task
  throughline catalogue check -f acme.yaml
  throughline catalogue broken --workspace acme
  throughline catalogue missing -f acme.yaml`,
	}
	cmd.AddCommand(newCatalogueObjects(), newCatalogueDescribe(), newCatalogueCheck(), newCatalogueBroken(), newCatalogueRefresh(), newCatalogueMissing())
	return cmd
}

// register adds the flags; connected commands need a connection.
func (f *catalogueFlags) register(cmd *cobra.Command, connected bool) {
	f.target.register(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.workspace, "workspace", "w", "", "the workspace")
	flags.StringVarP(&f.connection, "connection", "c", "", "the connection")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON object a line")
	required := []string{"workspace"}
	if connected {
		required = append(required, "connection")
	}
	for _, name := range required {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
}

// with runs f with the service.
func (t *target) withCatalogue(f func(configv1.CatalogueServiceClient) error) error {
	_, conn, err := t.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return f(configv1.NewCatalogueServiceClient(conn))
}

func newCatalogueObjects() *cobra.Command {
	var f catalogueFlags
	var req configv1.ListObjectsRequest
	cmd := &cobra.Command{
		Use:   "objects --workspace <id> --connection <id>",
		Short: "The objects that the integration user may see",
		Example: `  throughline catalogue objects -w acme -c production
  throughline catalogue objects -w acme -c production --search engagement --createable --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req.Workspace, req.Connection = f.workspace, f.connection
			return f.withCatalogue(func(service configv1.CatalogueServiceClient) error {
				answer, err := service.ListObjects(cmd.Context(), &req)
				if err != nil {
					return err
				}
				return printObjects(cmd.OutOrStdout(), answer, f.asJSON)
			})
		},
	}
	f.register(cmd, true)
	cmd.Flags().StringVar(&req.Search, "search", "", "only objects whose name or label contains this")
	cmd.Flags().BoolVar(&req.Createable, "createable", false, "only objects of which the user may create records")
	return cmd
}

func newCatalogueDescribe() *cobra.Command {
	var f catalogueFlags
	cmd := &cobra.Command{
		Use:   "describe --workspace <id> --connection <id> <object>",
		Short: "The fields of an object, their types and what may be written",
		Example: `  throughline catalogue describe -w acme -c production Task
  throughline catalogue describe -w acme -c production Engagement__c --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withCatalogue(func(service configv1.CatalogueServiceClient) error {
				answer, err := service.DescribeObject(cmd.Context(),
					&configv1.DescribeObjectRequest{Workspace: f.workspace, Connection: f.connection, Object: args[0]})
				if err != nil {
					return err
				}
				return printDescription(cmd.OutOrStdout(), answer, f.asJSON)
			})
		},
	}
	f.register(cmd, true)
	return cmd
}

func newCatalogueCheck() *cobra.Command {
	var t target
	var files []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check -f <file>...",
		Short: "Check integrations against their orgs, and save nothing",
		Long: `Checks every integration of the files as apply would when it saves them, switched on or not, and changes nothing. It ends
with exit code 1 when one of them would be refused.`,
		Example: `  throughline catalogue check -f acme.yaml
  throughline catalogue check -f acme.yaml --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			integrations, err := readIntegrations(cmd.InOrStdin(), files)
			if err != nil {
				return err
			}
			return t.withCatalogue(func(service configv1.CatalogueServiceClient) error {
				return checkIntegrations(cmd.Context(), service, integrations, printer{cmd.OutOrStdout(), asJSON})
			})
		},
	}
	t.register(cmd)
	cmd.Flags().StringArrayVarP(&files, "file", "f", nil, "`file` with integrations or recipes, or - for standard input; may be repeated")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	if err := cmd.MarkFlagRequired("file"); err != nil {
		panic(err)
	}
	return cmd
}

// printer is where and how to print.
type printer struct {
	w      io.Writer
	asJSON bool
}

// readIntegrations returns the integrations among the documents of files.
func readIntegrations(stdin io.Reader, files []string) ([]*configv1.Integration, error) {
	docs, err := readDocuments(stdin, files)
	if err != nil {
		return nil, err
	}
	var out []*configv1.Integration
	for _, doc := range docs {
		if i, ok := doc.Setting.(*configv1.Integration); ok {
			out = append(out, i)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("there is no integration in it, neither of kind Integration nor from a recipe")
	}
	return out, nil
}

func checkIntegrations(ctx context.Context, service configv1.CatalogueServiceClient, integrations []*configv1.Integration, p printer) error {
	bad := 0
	t := screen.NewTable(p.w, "integration", "field", "problem").WrapAt(90)
	for _, i := range integrations {
		answer, err := service.ValidateIntegration(ctx, &configv1.ValidateIntegrationRequest{Integration: i})
		if err != nil {
			return fmt.Errorf("integration %s of workspace %s: %w", i.GetId(), i.GetWorkspace(), err)
		}
		if len(answer.GetProblems()) > 0 {
			bad++
		}
		if p.asJSON {
			if err := printNamed(p.w, i.GetId(), answer); err != nil {
				return err
			}
			continue
		}
		for _, problem := range answer.GetProblems() {
			t.AppendRow(screen.Row{i.GetId(), problem.GetField(), "✗ " + problem.GetDescription()})
		}
		for _, note := range answer.GetNotes() {
			t.AppendRow(screen.Row{i.GetId(), "", "note: " + note})
		}
		if len(answer.GetProblems()) == 0 {
			t.AppendRow(screen.Row{i.GetId(), "", "✓ nothing would keep it from being saved"})
		}
	}
	if !p.asJSON {
		t.Render()
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d integrations would be refused", bad, len(integrations))
	}
	return nil
}

func newCatalogueBroken() *cobra.Command {
	var f catalogueFlags
	cmd := &cobra.Command{
		Use:   "broken --workspace <id>",
		Short: "The saved integrations that do not fit their org any more",
		Example: `  throughline catalogue broken -w acme
  throughline catalogue broken -w acme -c production --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withCatalogue(func(service configv1.CatalogueServiceClient) error {
				answer, err := service.ListBroken(cmd.Context(), &configv1.ListBrokenRequest{Workspace: f.workspace, Connection: f.connection})
				if err != nil {
					return err
				}
				return printBroken(cmd.OutOrStdout(), answer.GetBroken(), f.asJSON)
			})
		},
	}
	f.register(cmd, false)
	return cmd
}

func newCatalogueRefresh() *cobra.Command {
	var f catalogueFlags
	cmd := &cobra.Command{
		Use:   "refresh --workspace <id> --connection <id> [object]...",
		Short: "Ask the org again now, and check its integrations",
		Example: `  throughline catalogue refresh -w acme -c production
  throughline catalogue refresh -w acme -c production Task Engagement__c`,
		RunE: func(cmd *cobra.Command, objects []string) error {
			return f.withCatalogue(func(service configv1.CatalogueServiceClient) error {
				answer, err := service.RefreshCatalogue(cmd.Context(),
					&configv1.RefreshCatalogueRequest{Workspace: f.workspace, Connection: f.connection, Objects: objects})
				if err != nil {
					return err
				}
				return printRefreshed(cmd.OutOrStdout(), answer, f.asJSON)
			})
		},
	}
	f.register(cmd, true)
	return cmd
}
