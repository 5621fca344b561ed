// Package sosl reads searches: FIND {words} IN group FIELDS RETURNING Object(fields WHERE … ORDER BY … LIMIT n). It refuses
// what it does not know — WITH, USING, AND, OR and parentheses among the words — rather than search for something else.
package sosl
