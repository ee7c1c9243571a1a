/** The topic and the lookup service of this server. */
export const TOPIC = 'tm_messagebox'
export const SERVICE = 'ls_messagebox'
