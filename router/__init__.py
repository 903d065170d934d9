"""What happens next: the HTTP engine, the configuration, the judgements, the work and the routes of Yardmaster."""
