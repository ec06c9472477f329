package dispatch

import "time"

// unheard is how long an agent may be without a session before what was given to it counts as unknown: its lease has ended by then
// (15 s, DESIGN 6.8), so that it begins nothing more. An agent whose machine stopped is missed after 30 s (keepalive), so that
// both together stay under the minute in which a failure has to have a name.
const unheard = 20 * time.Second

// Silent reports since when an agent has had no session, and whether that is so long that nobody knows what became of the questions
// that were given to it. For one that has had none in this life of the controller that is since the controller began.
func (s *Service) Silent(agent string) (since time.Time, silent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.online[agent] > 0 {
		return time.Time{}, false
	}
	since, known := s.left[agent]
	if !known {
		since = s.Began
	}
	return since, s.Now().Sub(since) >= unheard
}
