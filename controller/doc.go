// Package controller joins the controller's rooms into one program: the admin API for people and
// tools, the control plane for agents, the clock that fires approved plans, and one database. It never
// speaks to a device.
package controller
