package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes. A command that was called wrongly has done nothing, and calling it again that way is of no use.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a command called wrongly.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// requiredFlags is how cobra tells of required flags: it has no hook for that.
var requiredFlags = regexp.MustCompile(`^required flag\(s\) (.*) not set$`)

// oneOfFlags and onlyOneOfFlags are how it tells of flags that belong together.
var (
	oneOfFlags     = regexp.MustCompile(`^at least one of the flags in the group \[(.*)\] is required$`)
	onlyOneOfFlags = regexp.MustCompile(`^if any flags in the group \[(.*)\] are set none of the others can be;`)
)

// wrongUse reports whether an error is about how the command was called, and says it in our words.
func wrongUse(err error) (string, bool) {
	if names := requiredFlags.FindStringSubmatch(err.Error()); names != nil {
		return "missing: --" + strings.ReplaceAll(strings.ReplaceAll(names[1], `"`, ""), ", ", ", --"), true
	}
	if names := oneOfFlags.FindStringSubmatch(err.Error()); names != nil {
		return "missing: one of --" + strings.ReplaceAll(names[1], " ", ", --"), true
	}
	if names := onlyOneOfFlags.FindStringSubmatch(err.Error()); names != nil {
		return "only one of --" + strings.ReplaceAll(names[1], " ", ", --") + " goes", true
	}
	var wrong *usageError
	return err.Error(), errors.As(err, &wrong) || strings.HasPrefix(err.Error(), "unknown command ")
}

// explain tells how the command is called.
func explain(cmd *cobra.Command) string {
	use := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		use = cmd.CommandPath() + " <command>"
	}
	return fmt.Sprintf("Usage: %s\n%s --help has examples.", use, cmd.CommandPath())
}

// teach has all commands tell of wrong use in the same way. A command that only holds others takes their examples, and refuses what
// is none of them.
func teach(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		teach(sub)
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	if cmd.HasSubCommands() && !cmd.Runnable() && cmd.HasParent() {
		group(cmd)
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return &usageError{err}
			}
			return nil
		}
	}
}

// group makes a command that only holds others.
func group(cmd *cobra.Command) {
	var examples []string
	for _, sub := range cmd.Commands() {
		first, _, _ := strings.Cut(sub.Example, "\n")
		if first = strings.TrimSpace(first); first != "" {
			examples = append(examples, "  "+first)
		}
	}
	if cmd.Example == "" {
		cmd.Example = strings.Join(examples, "\n")
	}
	cmd.DisableFlagsInUseLine = true
	cmd.FParseErrWhitelist.UnknownFlags = true // the command is told first
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := ""
		if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
			hint = "; did you mean " + strings.Join(similar, " or ") + "?"
		}
		return fmt.Errorf("%s has no command %q%s", cmd.CommandPath(), args[0], hint)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.SuggestionsMinimumDistance = 2
}
