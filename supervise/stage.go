package main

// stage is how far the end of a pod has come, for one command.
type stage int

const (
	undisturbed stage = iota // nobody has asked the pod to stop
	looking                  // the signal came; nobody that can save has been told yet
	saving                   // those that save have been told, and at least one of them lives
	finishing                // they have ended; the rest of the container is told, and scripts go on
	outliving                // the command has ended, and what it has left behind still saves
	killing                  // the time is up
	ended
)

func (s stage) String() string {
	return [...]string{"undisturbed", "looking", "saving", "finishing", "outliving", "killing", "ended"}[s]
}

// event is what moves forward from one stage to the next.
type event int

const (
	stopCame     event = iota // the signal
	saverTold                 // one that saves has been sent it
	saversEnded               // the last of them has ended
	commandEnded              // the command itself has
	limitReached              // --limit
	nothingSaves              // nobody that was told writes any more
)

// transitions is every change of stage. An event that does not stand beside a stage leaves it as it is.
var transitions = map[stage]map[event]stage{
	undisturbed: {stopCame: looking, commandEnded: ended},
	looking:     {saverTold: saving, limitReached: killing, commandEnded: ended},
	saving:      {saversEnded: finishing, limitReached: killing, commandEnded: outliving},
	finishing:   {limitReached: killing, commandEnded: outliving},
	outliving:   {limitReached: killing, nothingSaves: ended},
	killing:     {commandEnded: ended},
	ended:       {},
}

// after is the stage that follows an event.
func (s stage) after(e event) stage {
	if next, moves := transitions[s][e]; moves {
		return next
	}
	return s
}

// stopping says whether the signal has come, and the end has not.
func (s stage) stopping() bool { return s != undisturbed && s != ended }
