package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

type aclsCommand struct {
	src        sources
	prefix     string
	principals map[string]string
	producers  map[string]string
	create     bool
	asJSON     bool
}

func newACLs() *cobra.Command {
	var c aclsCommand
	cmd := &cobra.Command{
		Use:     "acls",
		GroupID: "serve",
		Short:   "Show or make the Kafka rights that each service needs, and no more",
		Long: `Lists what every service and tool reads, writes and joins in Kafka, for the topics and groups of the configuration. With --create the
entries are added to the cluster; the user of the configuration needs Alter on it. None are taken away.

Each account has a principal of its own: --prefix and its name, unless --principal says otherwise. A producer may write the topics of
ingest.sources that it is given, and nothing of the pipeline's.`,
		Example: `  throughline acls                                            # who needs what
  throughline acls --create --config admin.yaml               # for User:tl-ingest, User:tl-visits, …
  throughline acls --create --principal writer=User:CN=writer.internal
  throughline acls --create --producer User:player=viewing-events
  throughline acls --json | jq '.[] | select(.principal == "User:tl-writer")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	c.src.register(cmd)
	cmd.Flags().StringVar(&c.prefix, "prefix", "User:tl-", "begins the principal of every account")
	cmd.Flags().StringToStringVar(&c.principals, "principal", nil, "`account=principal` for an account with another")
	cmd.Flags().StringToStringVar(&c.producers, "producer", nil, "`principal=topic` of a producer")
	cmd.Flags().BoolVar(&c.create, "create", false, "add the entries to the cluster")
	cmd.Flags().BoolVar(&c.asJSON, "json", false, "print JSON, an entry each")
	return cmd
}

func (c *aclsCommand) run(ctx context.Context, out io.Writer) error {
	cfg, err := c.src.load()
	if err != nil {
		return err
	}
	acls, err := c.entries(cfg)
	if err != nil {
		return err
	}
	if c.create {
		if err := createACLs(ctx, cfg, acls); err != nil {
			return err
		}
	}
	if c.asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(acls)
	}
	t := screen.NewTable(out, "PRINCIPAL", "MAY", "OF THE", "NAMED")
	for _, group := range grouped(acls) {
		t.AppendRow([]any{group[0].Principal, group[0].Operation, group[0].ResourceType, names(group)})
		t.AppendSeparator()
	}
	t.Render()
	if c.create {
		fmt.Fprintf(out, "%d entries are in the cluster.\n", len(acls))
	}
	return nil
}

// entries are those of every account and of the producers.
func (c *aclsCommand) entries(cfg *app.Config) ([]kafka.ACL, error) {
	principals := map[string]string{}
	for account := range cfg.KafkaAccess() {
		principals[account] = c.prefix + account
	}
	maps.Copy(principals, c.principals)
	acls, err := cfg.ACLs(principals)
	if err != nil {
		return nil, fmt.Errorf("--principal: %w", err)
	}
	for _, principal := range slices.Sorted(maps.Keys(c.producers)) {
		acl, err := cfg.ProducerACL(principal, c.producers[principal])
		if err != nil {
			return nil, fmt.Errorf("--producer: %w", err)
		}
		acls = append(acls, acl)
	}
	return acls, nil
}

func createACLs(ctx context.Context, cfg *app.Config, acls []kafka.ACL) error {
	client, err := kafka.New(cfg.Kafka, kafka.Deps{})
	if err != nil {
		return err
	}
	defer client.Close()
	return client.EnsureACLs(ctx, acls...)
}

// grouped puts together what differs in the name only; entries come in that order.
func grouped(acls []kafka.ACL) [][]kafka.ACL {
	var out [][]kafka.ACL
	for i, a := range acls {
		if i > 0 {
			last := out[len(out)-1]
			if b := last[0]; a.Principal == b.Principal && a.Operation == b.Operation && a.ResourceType == b.ResourceType {
				out[len(out)-1] = append(last, a)
				continue
			}
		}
		out = append(out, []kafka.ACL{a})
	}
	return out
}

func names(acls []kafka.ACL) string {
	all := make([]string, len(acls))
	for i, a := range acls {
		all[i] = a.Name
	}
	return strings.Join(all, "\n")
}
