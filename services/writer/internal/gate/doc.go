// Package gate says whether an org may be written to now, and if not, why. It closes when the settings say so, when the
// org does not let us in, when the allowed calls are used up, or when nothing gets through, and opens again after a probe
// has succeeded. Everything that writes to an org in this process shares its gate.
package gate
