package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

// creator are the flags that say who makes a content, and what they chose.
type creator struct {
	groups            []string
	tracking, address string
}

func (f *creator) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.groups, "group", nil, "a `group` of the creator; may be repeated")
	cmd.Flags().StringVar(&f.tracking, "tracking", "none", "what the creator chose: on, off or none")
	cmd.Flags().StringVar(&f.address, "require-address", "none", "what the creator chose: on, off or none")
}

func (f *creator) choice() (*configv1.ContentChoice, error) {
	var choice configv1.ContentChoice
	var err error
	if choice.Tracking, err = switchOf("tracking", f.tracking); err != nil {
		return nil, err
	}
	choice.RequireAddress, err = switchOf("require-address", f.address)
	return &choice, err
}

func printDecided(w io.Writer, d *configv1.DecidedContent) {
	t := screen.NewTable(w, "switch", "is", "decided by", "groups")
	row := func(name string, s *configv1.DecidedSwitch) {
		decider := strings.ToLower(strings.TrimPrefix(s.GetDecider().String(), "SWITCH_DECIDER_"))
		t.AppendRow(screen.Row{name, onOff(s.GetOn()), decider, strings.Join(s.GetGroups(), ", ")})
	}
	row("tracking", d.GetTracking())
	row("asks for address", d.GetRequireAddress())
	t.Render()
	if !d.GetChoosable() {
		fmt.Fprintln(w, "choices are locked: hide the switches")
	}
}

func newGroupsResolve() *cobra.Command {
	var c groupsCall
	var f creator
	cmd := &cobra.Command{
		Use:   "resolve",
		Short: "With what a new content would begin; nothing is recorded",
		Example: `  throughline groups resolve --workspace acme --group sales --group legal
  throughline groups resolve --workspace acme --group sales --tracking off --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			choice, err := f.choice()
			if err != nil {
				return err
			}
			return c.with(cmd, func(ctx context.Context, service configv1.ContentDefaultsServiceClient) error {
				resp, err := service.ResolveContentDefaults(ctx, &configv1.ResolveContentDefaultsRequest{
					Workspace: c.workspace, Groups: f.groups, Choice: choice,
				})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printJSON(cmd.OutOrStdout(), resp.GetDecided())
				}
				printDecided(cmd.OutOrStdout(), resp.GetDecided())
				return nil
			})
		},
	}
	c.flags(cmd)
	f.register(cmd)
	return cmd
}

func newGroupsRecord() *cobra.Command {
	var c groupsCall
	var f creator
	cmd := &cobra.Command{
		Use:   "record <content>",
		Short: "Record with what a new content begins, as the platform does",
		Long: `Decides as "groups resolve" does and saves the answer as the content's setting, with a copy of the workspace's default workflow if
there is one. A content that has a setting keeps it.`,
		Example: `  throughline groups record --workspace acme video-7 --group sales`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			choice, err := f.choice()
			if err != nil {
				return err
			}
			return c.with(cmd, func(ctx context.Context, service configv1.ContentDefaultsServiceClient) error {
				resp, err := service.RecordContent(ctx, &configv1.RecordContentRequest{
					Workspace: c.workspace, ContentId: args[0], Groups: f.groups, Choice: choice,
				})
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				if c.asJSON {
					return printJSON(out, resp)
				}
				if !resp.GetRecorded() {
					fmt.Fprintf(out, "%s was recorded before and stays: tracking %s\n", args[0], onOff(resp.GetSetting().GetTracking()))
					return nil
				}
				printDecided(out, resp.GetDecided())
				if resp.GetWorkflow() != nil {
					fmt.Fprintf(out, "default workflow: %s\n", resp.GetWorkflow().GetId())
				}
				for _, note := range resp.GetNotes() {
					fmt.Fprintf(out, "  note: %s\n", note)
				}
				return nil
			})
		},
	}
	c.changing(cmd)
	f.register(cmd)
	return cmd
}

func newGroupsApply() *cobra.Command {
	var c groupsCall
	var group, fingerprint string
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Let existing contents follow today's defaults: first a preview, then what it printed",
		Long: `Without --fingerprint it lists what would change, and prints one. With it it changes exactly this, all of it or nothing; if
anything has changed since, it is refused: preview again. What somebody chose for a content stays, unless choices are locked.`,
		Example: `  throughline groups apply --workspace acme --group sales
  throughline groups apply --workspace acme --group sales --fingerprint 5f0c… --why "new policy"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd, func(ctx context.Context, service configv1.ContentDefaultsServiceClient) error {
				if fingerprint == "" {
					return c.preview(ctx, cmd, service, group)
				}
				done, err := service.ApplyContentDefaults(ctx, &configv1.ApplyContentDefaultsRequest{Workspace: c.workspace, Group: group, Fingerprint: fingerprint})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printJSON(cmd.OutOrStdout(), done)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%d contents changed, %d left for another round\n", done.GetChanged(), done.GetLeft())
				return nil
			})
		},
	}
	c.changing(cmd)
	cmd.Flags().StringVar(&group, "group", "", "only contents of creators who were in this group")
	cmd.Flags().StringVar(&fingerprint, "fingerprint", "", "that of the preview, to change what it listed")
	return cmd
}

func (c *groupsCall) preview(ctx context.Context, cmd *cobra.Command, service configv1.ContentDefaultsServiceClient, group string) error {
	p, err := service.PreviewContentDefaults(ctx, &configv1.PreviewContentDefaultsRequest{Workspace: c.workspace, Group: group})
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if c.asJSON {
		return printJSON(out, p)
	}
	t := screen.NewTable(out, "content", "tracking", "asks for address")
	step := func(before, after bool) string {
		if before == after {
			return onOff(after)
		}
		return onOff(before) + " → " + onOff(after)
	}
	for _, ch := range p.GetChanges() {
		t.AppendRow(screen.Row{
			ch.GetContentId(), step(ch.GetTrackingBefore(), ch.GetTrackingAfter()), step(ch.GetRequireAddressBefore(), ch.GetRequireAddressAfter()),
		})
	}
	t.Render()
	fmt.Fprintf(out, "%d would change, %d more in another round, %d stay, %d take no part: nobody knows whose they are\n",
		len(p.GetChanges()), p.GetLeft(), p.GetUnchanged(), p.GetUnknown())
	if p.GetFingerprint() != "" {
		fmt.Fprintf(out, "fingerprint: %s\n", p.GetFingerprint())
	}
	return nil
}
