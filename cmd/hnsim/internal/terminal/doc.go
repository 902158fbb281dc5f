// Package terminal decides how to talk: whether colour is welcome, how wide a
// line may be, and how progress is shown. It follows NO_COLOR, CLICOLOR_FORCE
// and TERM=dumb. It knows streams and the environment, and not what is said.
package terminal
