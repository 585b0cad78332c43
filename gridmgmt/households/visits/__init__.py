"""At the door: the survey, visits, and rounds to people who need one."""
