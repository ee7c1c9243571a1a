/** The one topic and the one lookup service that this server has. */
export const TOPIC = 'tm_messagebox'
export const SERVICE = 'ls_messagebox'
