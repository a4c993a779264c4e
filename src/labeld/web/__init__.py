"""The HTTP application: routes, access control, monitoring, pages."""
