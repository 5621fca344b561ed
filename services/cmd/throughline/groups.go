package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

func newGroups() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "groups",
		GroupID: "look",
		Short:   "With what new contents begin, by their creator's user groups",
		Long: `A content begins with what its creator chose; else, or if choices are locked, with what the creator's groups say; else with the
workspace's values. Contents that exist stay as they are until "groups apply" is asked to change them.`,
	}
	cmd.AddCommand(newGroupsList(), newGroupsSet(), newGroupsRemove(), newGroupsRules(), newGroupsResolve(), newGroupsRecord(), newGroupsApply())
	return cmd
}

// groupsCall is a command about a workspace's defaults.
type groupsCall struct{ call }

func (c *groupsCall) with(cmd *cobra.Command, f func(context.Context, configv1.ContentDefaultsServiceClient) error) error {
	return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
		return f(ctx, configv1.NewContentDefaultsServiceClient(conn))
	})
}

// change reads the defaults, changes them and saves them. Somebody who saves at the same time makes it fail.
func (c *groupsCall) change(cmd *cobra.Command, change func(*configv1.ContentDefaults) error) error {
	return c.with(cmd, func(ctx context.Context, service configv1.ContentDefaultsServiceClient) error {
		got, err := service.GetContentDefaults(ctx, &configv1.GetContentDefaultsRequest{Workspace: c.workspace})
		if err != nil {
			return err
		}
		if got.GetDefaults().Groups == nil {
			got.Defaults.Groups = map[string]*configv1.GroupDefaults{}
		}
		if err := change(got.GetDefaults()); err != nil {
			return err
		}
		saved, err := service.PutContentDefaults(ctx, &configv1.PutContentDefaultsRequest{Defaults: got.GetDefaults()})
		if err != nil {
			return err
		}
		return c.print(cmd, saved.GetDefaults())
	})
}

func (c *groupsCall) print(cmd *cobra.Command, d *configv1.ContentDefaults) error {
	out := cmd.OutOrStdout()
	if c.asJSON {
		return printJSON(out, d)
	}
	choices := "creators may choose"
	if d.GetLocked() {
		choices = "choices are locked"
	}
	combination := "on if any group is on"
	if d.GetCombination() == configv1.CombinationRule_COMBINATION_RULE_HIGHEST_RANK {
		combination = "the highest-ranked group decides"
	}
	fmt.Fprintf(out, "version %d: %s, %s; otherwise an address is asked for: %s\n", d.GetVersion(), combination, choices, onOff(d.GetRequireAddress()))
	t := screen.NewTable(out, "group", "rank", "tracking", "asks for address")
	ids := slices.SortedFunc(maps.Keys(d.GetGroups()), func(a, b string) int {
		return int(d.GetGroups()[a].GetRank() - d.GetGroups()[b].GetRank())
	})
	for _, id := range ids {
		g := d.GetGroups()[id]
		t.AppendRow(screen.Row{id, g.GetRank(), maybe(g.Tracking), maybe(g.RequireAddress)})
	}
	t.Render()
	return nil
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func maybe(on *bool) string {
	if on == nil {
		return ""
	}
	return onOff(*on)
}

// switchOf reads on, off or none.
func switchOf(flag, text string) (*bool, error) {
	on := text == "on"
	switch text {
	case "on", "off":
		return &on, nil
	case "none":
		return nil, nil
	}
	return nil, fmt.Errorf("--%s: say on, off or none", flag)
}

func newGroupsList() *cobra.Command {
	var c groupsCall
	cmd := &cobra.Command{
		Use:   "list",
		Short: "The groups with their defaults, the highest-ranked first",
		Example: `  throughline groups list --workspace acme
  throughline groups list --workspace acme --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd, func(ctx context.Context, service configv1.ContentDefaultsServiceClient) error {
				got, err := service.GetContentDefaults(ctx, &configv1.GetContentDefaultsRequest{Workspace: c.workspace})
				if err != nil {
					return err
				}
				return c.print(cmd, got.GetDefaults())
			})
		},
	}
	c.flags(cmd)
	return cmd
}

func newGroupsSet() *cobra.Command {
	var c groupsCall
	var tracking, address string
	var rank int32
	cmd := &cobra.Command{
		Use:   "set <group>",
		Short: "Add a group, or change what is given of one",
		Long: `A switch that is "none" says nothing: then other groups or the workspace decide. Rank 1 is the highest; no two groups have the
same. Contents that exist stay as they are.`,
		Example: `  throughline groups set --workspace acme sales --tracking on --require-address on --rank 2
  throughline groups set --workspace acme legal --tracking off --rank 1 --why "contracts are confidential"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.change(cmd, func(d *configv1.ContentDefaults) (err error) {
				g := d.GetGroups()[args[0]]
				if g == nil {
					g = &configv1.GroupDefaults{}
					d.Groups[args[0]] = g
				}
				if cmd.Flags().Changed("tracking") {
					if g.Tracking, err = switchOf("tracking", tracking); err != nil {
						return err
					}
				}
				if cmd.Flags().Changed("require-address") {
					if g.RequireAddress, err = switchOf("require-address", address); err != nil {
						return err
					}
				}
				if rank != 0 {
					g.Rank = rank
				}
				return nil
			})
		},
	}
	c.changing(cmd)
	cmd.Flags().StringVar(&tracking, "tracking", "", "write views to Salesforce: on, off or none")
	cmd.Flags().StringVar(&address, "require-address", "", "ask for the viewer's address: on, off or none")
	cmd.Flags().Int32Var(&rank, "rank", 0, "rank, from 1, the highest")
	return cmd
}

func newGroupsRemove() *cobra.Command {
	var c groupsCall
	cmd := &cobra.Command{
		Use:     "remove <group>",
		Short:   "Forget a group's defaults; its contents keep their values",
		Example: `  throughline groups remove --workspace acme interns`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.change(cmd, func(d *configv1.ContentDefaults) error {
				if d.GetGroups()[args[0]] == nil {
					return fmt.Errorf("workspace %s has no defaults for a group %s", c.workspace, args[0])
				}
				delete(d.Groups, args[0])
				return nil
			})
		},
	}
	c.changing(cmd)
	return cmd
}

func newGroupsRules() *cobra.Command {
	var c groupsCall
	var combination, address string
	var locked bool
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "How several groups are combined, whether creators may choose, and the workspace's value",
		Long: `What is not given stays as it is. Where neither a choice nor a group decides, an address is asked for as --require-address says,
and tracking is the workspace's track_by_default.`,
		Example: `  throughline groups rules --workspace acme --combination highest-rank
  throughline groups rules --workspace acme --locked --why "decided centrally from April"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.change(cmd, func(d *configv1.ContentDefaults) error {
				if combination != "" {
					code, ok := configv1.CombinationRule_value["COMBINATION_RULE_"+strings.ToUpper(strings.ReplaceAll(combination, "-", "_"))]
					if !ok || code == 0 {
						return errors.New("--combination: say any-on or highest-rank")
					}
					d.Combination = configv1.CombinationRule(code)
				}
				if cmd.Flags().Changed("locked") {
					d.Locked = locked
				}
				if address != "" {
					on, err := switchOf("require-address", address)
					if err != nil || on == nil {
						return errors.New("--require-address: say on or off")
					}
					d.RequireAddress = *on
				}
				return nil
			})
		},
	}
	c.changing(cmd)
	cmd.Flags().StringVar(&combination, "combination", "", "any-on: on if any group is on; highest-rank: the highest-ranked group decides")
	cmd.Flags().BoolVar(&locked, "locked", false, "creators may not choose")
	cmd.Flags().StringVar(&address, "require-address", "", "the workspace's value: on or off")
	return cmd
}
