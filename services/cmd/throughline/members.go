package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

func newMembers() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "members",
		GroupID: "look",
		Short:   "Who is in a workspace, and in which role",
	}
	cmd.AddCommand(newMembersList(), newMembersPut(), newMembersRemove(), newMembersSessions(), newMembersSignOut())
	return cmd
}

func newMembersList() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "The members of a workspace",
		Example: `  throughline members list --workspace acme`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewAccessServiceClient(conn).ListMembers(ctx, &configv1.ListMembersRequest{Workspace: c.workspace})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printAllJSON(cmd.OutOrStdout(), resp.GetMembers())
				}
				t := screen.NewTable(cmd.OutOrStdout(), "id", "name", "role", "signs in as")
				for _, m := range resp.GetMembers() {
					subject := m.GetSubject()
					if subject == "" {
						subject = "(invited)"
					}
					t.AppendRow(screen.Row{m.GetId(), m.GetName(), name(m.GetRole(), "ROLE_"), subject})
				}
				t.Render()
				return nil
			})
		},
	}
	c.flags(cmd)
	return cmd
}

func newMembersPut() *cobra.Command {
	var c call
	var m configv1.Member
	var role string
	cmd := &cobra.Command{
		Use:   "put <id>",
		Short: "Add a member, or change one",
		Long: `Adds a member, by the address or the subject they sign in with, or changes what is given of one. Roles: owner, admin,
integration_editor, privacy_officer, viewer.`,
		Example: `  throughline members put --workspace acme aoi --name "Aoi Sato" --role admin --email aoi@acme.example
  throughline members put --workspace acme aoi --role viewer`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m.Workspace, m.Id = c.workspace, args[0]
			if role != "" {
				code, ok := configv1.Role_value["ROLE_"+strings.ToUpper(role)]
				if !ok || code == 0 {
					return fmt.Errorf("--role: there is no %q; there are owner, admin, integration_editor, privacy_officer, viewer", role)
				}
				m.Role = configv1.Role(code)
			}
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				return putMember(ctx, cmd, configv1.NewAccessServiceClient(conn), &m)
			})
		},
	}
	c.changing(cmd)
	cmd.Flags().StringVar(&m.Name, "name", "", "name; default: the id, or what it is")
	cmd.Flags().StringVar(&role, "role", "", "role; needed for a new member")
	cmd.Flags().StringVar(&m.Email, "email", "", "address of the first sign-in")
	cmd.Flags().StringVar(&m.Subject, "subject", "", "subject of the member's ID tokens")
	return cmd
}

// putMember fills in what is there already.
func putMember(ctx context.Context, cmd *cobra.Command, access configv1.AccessServiceClient, m *configv1.Member) error {
	listed, err := access.ListMembers(ctx, &configv1.ListMembersRequest{Workspace: m.GetWorkspace()})
	if err != nil {
		return err
	}
	for _, old := range listed.GetMembers() {
		if old.GetId() != m.GetId() {
			continue
		}
		m.Version = old.GetVersion()
		if m.GetName() == "" {
			m.Name = old.GetName()
		}
		if m.GetRole() == configv1.Role_ROLE_UNSPECIFIED {
			m.Role = old.GetRole()
		}
	}
	if m.GetName() == "" {
		m.Name = m.GetId()
	}
	if m.GetRole() == configv1.Role_ROLE_UNSPECIFIED {
		return errors.New("--role: say what the new member may do")
	}
	resp, err := access.PutMember(ctx, &configv1.PutMemberRequest{Member: m})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "member %s of %s is %s\n", m.GetId(), m.GetWorkspace(), name(resp.GetMember().GetRole(), "ROLE_"))
	return err
}

func newMembersRemove() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:     "remove <id>",
		Short:   "Take a member out of a workspace",
		Example: `  throughline members remove --workspace acme aoi --why "left the company"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				_, err := configv1.NewAccessServiceClient(conn).RemoveMember(ctx, &configv1.RemoveMemberRequest{Workspace: c.workspace, Member: args[0]})
				return err
			})
		},
	}
	c.changing(cmd)
	return cmd
}
